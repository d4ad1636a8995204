"""Codes S2xx, the shape of a single document."""

from __future__ import annotations

from engine.diagnostics.model import Code

CODES_HERE: tuple[Code, ...] = (
    Code(
        "S201",
        "error",
        "an unknown key",
        "A mapping has a key that does not exist there. Nothing in a configuration is ignored silently: a misspelt "
        "key would otherwise be a rule that everybody believes in and nobody applies. For example `retires:` in a "
        "policy, where `retry:` was meant. Correct the spelling, move the key to the mapping it belongs to, or "
        "remove it; the field tables in providers.d/README.md and policies/README.md list every key.",
    ),
    Code(
        "S202",
        "error",
        "a missing key",
        "A mapping lacks a key that it cannot do without, or that another of its values makes necessary. A route "
        "without `step:` has nothing to send requests to, and a provider that is reached over HTTP needs a "
        "`base_url:`. Add the key.",
    ),
    Code(
        "S203",
        "error",
        "a value of the wrong type",
        "A value is of another type than its key takes: text where a number belongs, a single value where a list "
        "belongs. Values are never converted, because the conversions that YAML tools disagree on are where "
        "surprises come from. In YAML 1.2 `yes`, `no`, `on` and `off` are text; write `true` or `false`. `2.0` is "
        "no whole number; write `2`. Numbers stand without quotes, while texts that look like numbers need them: "
        '`user: "17"`.',
    ),
    Code(
        "S204",
        "error",
        "not one of the possible values",
        "The key takes one of a closed list of words, and this is none of them. For example `by: random` in a "
        "balance, where `weighted`, `hash` and `latency` are among the words. The message lists all of them; "
        "choose one.",
    ),
    Code(
        "S205",
        "error",
        "a text of the wrong form",
        "A text is not written the way its key needs it. Durations have a unit (`200ms`, `5s`, `1m30s`), shares are "
        "percentages from 0% to 100% (`20%`), targets are `provider/model`, names have letters, digits, dots, "
        "underscores and hyphens, a base URL begins with http:// or https:// and has neither query nor fragment. "
        "The hint shows the form.",
    ),
    Code(
        "S206",
        "error",
        "an empty value",
        "A key stands without a value, or a text, a list or a mapping holds nothing where it must hold something. "
        "`retry:` alone on a line is usually the rest of an edit, and guessing what was meant would be worse than "
        "asking. Write a value, or remove the key so that its default applies.",
    ),
    Code(
        "S207",
        "error",
        "a literal secret",
        "A secret is written out where everybody who can read the repository can read it too. Secrets are referred "
        "to and never written: `secret: {env: SERVICE_API_KEY}` names an environment variable, `secret: {file: "
        "/run/secrets/service}` a file. The same holds for passwords in addresses and for fixed headers that carry "
        "credentials. Replace the value by a reference, and regard the secret as known to others: have a new one "
        "issued.",
    ),
    Code(
        "S208",
        "error",
        "keys that do not go together",
        "Two keys of one mapping contradict each other, or one has no meaning without another. A step is exactly "
        "one thing, so that `{fallback: ..., split: ...}` leaves open which comes first; `only_on` replaces the "
        "classes that `also_on` adds to. Keep one of them, or nest one in the other as the hint says.",
    ),
    Code(
        "S209",
        "error",
        "an unknown variant",
        "A pin or a holdout of a split names a variant that the split does not have, so that the users it is about "
        "would get none. Correct the name, or add the variant; a variant of weight 0 serves its pins and takes no "
        "other traffic.",
    ),
    Code(
        "S210",
        "error",
        "out of range",
        "A number lies outside of what makes sense for its key, or a list is shorter than its key needs. For "
        "example `max_attempts: 0`, by which no request would ever be sent, or `status: 200` in a reject step, "
        "which takes 400 to 599. The message names the bound.",
    ),
    Code(
        "S211",
        "error",
        "a text that is too long",
        "A text or the name of a key is longer than anything that is useful there. The bounds keep messages, "
        "headers and metric labels readable and memory predictable. Shorten it.",
    ),
    Code(
        "S212",
        "error",
        "none of the possible forms",
        "A mapping could be one of several things, and has the key of none of them, so that nothing says what it "
        "is. A step is a target, fallback, split, balance, switch, mirror, hedge, reject or route; a limit counts "
        "requests, tokens or concurrency. Add the key that says which one is meant.",
    ),
    Code(
        "S213",
        "error",
        "an unknown attribute in a condition",
        "A condition asks for something that requests do not have. The attributes are model, surface, stream, user, "
        "key, team, metadata.NAME, header.NAME (in lower case), input_tokens, max_tokens, tools, vision and "
        "json_schema; invariants may also ask for target.* . Such a condition could never hold, and a route behind "
        "it would never be taken. Correct the name; what is your own belongs under metadata.",
    ),
    Code(
        "S214",
        "error",
        "not a valid document",
        "The document breaks a rule for which there is no code of its own; the message says which. Please report "
        "it, together with the document, so that it gets a better explanation.",
    ),
)
