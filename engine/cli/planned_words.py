"""A change of behaviour in words: rows of what, before and after, which every format of ``plan`` shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from engine.exchange import ATTEMPT_CLASSES, FAIL_OVER, OutcomeClass
from engine.proof.change import money
from engine.units import format_duration

if TYPE_CHECKING:
    from engine.planner import Request
    from engine.proof.behaviour import Behaviour, Way
    from engine.proof.change import Change, Comparison, Move
    from engine.proof.fixing import Draw

_FAILURES = tuple(sorted(c.value for c in ATTEMPT_CLASSES - {OutcomeClass.SERVED}))
#: What an ordinary fallback moves on after, whatever the context.
_ORDINARY = {c.value for c in FAIL_OVER - {OutcomeClass.CONTEXT_EXCEEDED}}
#: Ways that are written out.
_MOST_WAYS = 4
_NOTHING = "-"


class Row(NamedTuple):
    """What differs, and what it was and is."""

    what: str
    before: str
    after: str


def witness(request: Request) -> str:
    """The options of ``interlock explain`` that ask about this request."""
    words = ["--model", request.model or ""]
    if request.surface != "chat":
        words += ["--surface", request.surface]
    for name in ("stream", "tools", "vision", "json_schema"):
        if getattr(request, name):
            words.append(f"--{name.replace('_', '-')}")
    for name in ("user", "key", "max_tokens"):
        if getattr(request, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(request, name))]
    words += ["--input-tokens", str(request.input_tokens)]
    for option, values in (("--metadata", request.metadata), ("--header", request.headers)):
        for name, value in values.items():
            words += [option, f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return shlex.join(words)


def title(change: Change) -> str:
    """The route that the change is about."""
    before, after = change.before.route, change.after.route
    if before == after:
        return f'route "{after}"'
    if before is None:
        return f'model "{change.request.model}": route "{after}" answers now'
    if after is None:
        return f'model "{change.request.model}": nobody answers any more'
    return f'model "{change.request.model}": route "{after}" answers instead of "{before}"'


def rows(change: Change) -> list[Row]:
    """Everything that differs, what matters most first."""
    old, new = change.before, change.after
    out = [*_first(old, new)]
    if _orders(old) != _orders(new):
        out.append(Row("tried in turn", _orders(old), _orders(new)))
    out += _classes(old, new)
    pairs = [
        Row("without any attempt", old.ends or _NOTHING, new.ends or _NOTHING),
        Row("at most attempts", str(old.attempts), str(new.attempts)),
        Row("at most seconds", format_duration(old.seconds), format_duration(new.seconds)),
        Row("cost", _cost(old), _cost(new)),
        Row("cost at the dearest", money(old.most_usd), money(new.most_usd)),
        Row("copies", _mirrors(old), _mirrors(new)),
        Row("hedges", _hedges(old), _hedges(new)),
        Row("client limits", ", ".join(old.limits) or _NOTHING, ", ".join(new.limits) or _NOTHING),
    ]
    out += [row for row in pairs if row.before != row.after]
    if old.route is not None and new.route is not None:
        out += _gained("somebody can", old.offered, new.offered)
        out += _gained("everybody can", old.kept, new.kept)
    out += _gained("labels", _labels(old), _labels(new))
    out += _draws(old, new)
    for what, before, after in (
        ("sent to", old.sent, new.sent),
        ("retries, timeouts, breaker, limits of", old.guarded, new.guarded),
    ):
        left = dict(before)
        names = sorted({name for name, digest in after if name in left and (name, digest) not in before})
        out += [Row(f"{what} {name}", "as before", "otherwise") for name in names]
    return out


class Told(NamedTuple):
    """Changes that are the same in words: the plainest of them, the kinds of request of all of them, and the words."""

    change: Change
    kinds: int
    rows: list[Row]


def told(compared: Comparison) -> dict[str, list[Told]]:
    """What is to be told under which title; those whose splits alone differ are told of under who moves."""
    out: dict[str, dict[tuple[Row, ...], Told]] = {}
    for change in compared.changes:
        words = rows(change)
        if not words:
            continue
        group = out.setdefault(title(change), {})
        seen = group.get(tuple(words))
        group[tuple(words)] = Told(
            change if seen is None else seen.change, change.kinds + (seen.kinds if seen else 0), words
        )
    return {head: list(group.values()) for head, group in out.items()}


def alike(count: int) -> str:
    """How many more kinds of request the same is true of."""
    return f" (and {count - 1} more kind{'' if count == 2 else 's'} of request)" if count > 1 else ""


def _first(old: Behaviour, new: Behaviour) -> Iterator[Row]:
    before, after = old.first(), new.first()
    if before != after:
        yield Row("first", _shares(before), _shares(after))


def _shares(shares: dict[str, Fraction]) -> str:
    ordered = sorted(shares.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{name} {percent(share)}" for name, share in ordered) or "nobody"


def percent(share: Fraction | float) -> str:
    """``12.5%``."""
    return f"{float(share) * 100:.4g}%"


def _orders(behaviour: Behaviour) -> str:
    ways = [way for way in behaviour.ways if way.order]
    shown = [_way(way, len(behaviour.ways) > 1) for way in ways[:_MOST_WAYS]]
    more = len(ways) - len(shown)
    return "; ".join([*shown, *([f"{more} more"] if more > 0 else [])]) or "nobody"


def _way(way: Way, with_share: bool) -> str:
    head = f"{percent(way.share)}: " if with_share else ""
    return head + " > ".join(way.order)


def _classes(old: Behaviour, new: Behaviour) -> Iterator[Row]:
    """Rows for outcome classes after which another way is gone than before."""
    if not old.targets() or not new.targets():
        return
    groups: dict[tuple[str, str], list[str]] = {}
    for name in _FAILURES:
        before, after = _after(old, name), _after(new, name)
        if before and after and before != after:
            groups.setdefault((before, after), []).append(name)
    for (before, after), names in groups.items():
        yield Row("after any failure" if set(names) >= _ORDINARY else f"after {', '.join(names)}", before, after)


def _after(behaviour: Behaviour, outcome: str) -> str:
    """Where failures of this class lead, where there is anywhere to go."""
    found = set()
    for way in behaviour.ways:
        chain = dict(way.after).get(outcome)
        if chain is not None and chain:
            found.add("ends" if len(chain) == 1 else " > ".join(chain))
        elif len(way.order) > 1:
            found.add("in turn")
    return "; ".join(sorted(found))


def _cost(behaviour: Behaviour) -> str:
    return money(behaviour.usd) if behaviour.targets() else _NOTHING


def _labels(behaviour: Behaviour) -> list[str]:
    return [f"{name} {value}" for name, value in behaviour.labels]


def _gained(what: str, before: Iterable[str], after: Iterable[str]) -> Iterator[Row]:
    lost, gained = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    if lost or gained:
        yield Row(what, ", ".join(lost) or _NOTHING, ", ".join(gained) or _NOTHING)


def _mirrors(behaviour: Behaviour) -> str:
    return ", ".join(f"{percent(share)} to {name}" for name, share in behaviour.mirrors) or _NOTHING


def _hedges(behaviour: Behaviour) -> str:
    return ", ".join(f"{to} beside {name} after {format_duration(s)}" for name, to, s in behaviour.hedges) or _NOTHING


def _draws(old: Behaviour, new: Behaviour) -> Iterator[Row]:
    """Balances that go by something else, or over others; splits are told of under who moves."""
    gone, come = (
        sorted({_draw(d) for d in b.draws if d not in o.draws and d.kind != "split"})
        for b, o in ((old, new), (new, old))
    )
    if gone or come:
        yield Row("chosen by", "; ".join(gone) or _NOTHING, "; ".join(come) or _NOTHING)


def _draw(draw: Draw) -> str:
    key = f" of {draw.key}" if draw.key else ""
    return f"balance by {draw.kind}{key} ({', '.join(f'{name} {percent(share)}' for name, share in draw.shares)})"


def moved(move: Move) -> str:
    """Who moves in a split, in one sentence."""
    shares = ", ".join(f"{name} {percent(old)} -> {percent(new)}" for name, old, new in move.shares)
    keys = f"values of {move.key}" if move.key else "requests"
    text = f'{percent(move.moved)} of the {keys} change variant in split "{move.split}" ({shares})'
    pins = [f"{value}: {old or 'unpinned'} -> {new or 'unpinned'}" for value, old, new in move.pins[:5]]
    more = [f"{len(move.pins) - 5} more"] if len(move.pins) > 5 else []
    return text + (f"; pins {', '.join([*pins, *more])}" if pins else "")


def summary(compared: Comparison) -> str:
    """One sentence on the whole."""
    if compared.base == compared.head:
        return "The two configurations mean the same: nothing changes."
    if compared.empty:
        return "No request is routed otherwise."
    counted = ((len(compared.routes), "route"), (len(compared.keys), "key"))
    where = " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counted if count)
    pairs = ((compared.models_gained, "gained"), (compared.models_lost, "lost"))
    names = [f"{word}: {', '.join(models)}" for models, word in pairs if models]
    return f"Behaviour changes in {where}." + (f" Model names {'; '.join(names)}." if names else "")
