"""Which route: no ties, and no route that can never be chosen.

Both questions are about pairs of routes, and there may be ten thousand routes. So only routes that can meet are
compared: those with the same exact name, or with the same literal prefix, at the same priority.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from engine.graph import Condition, Not, Test
from engine.graph.globs import covers, is_glob, literal_prefix, overlap

from ..blueprint import Draft
from ..conditions import demanded, may_hold
from ..work import Work

#: How many routes before one are asked whether their conditions leave it anything, and how many globs whether they
#: cover it. Beyond that a shadowed route may go unreported.
_MOST_ASKED = 16
_MOST_COMPARED = 256

#: Groups up to this size are compared pair by pair.
_FEW = 8

_Pattern = tuple[str, Draft]


def run(work: Work) -> None:
    """Reports ties (P405) and routes that are never chosen (P406)."""
    exact: dict[str, list[Draft]] = {}
    globs: dict[str, list[_Pattern]] = {}
    for draft in work.drafts.values():
        for pattern in draft.models:
            if is_glob(pattern):
                globs.setdefault(literal_prefix(pattern), []).append((pattern, draft))
            else:
                exact.setdefault(pattern, []).append(draft)
    ties: dict[tuple[str, str], str] = {}
    for name, drafts in exact.items():
        if len(drafts) > 1:
            _ties([(name, draft) for draft in drafts], ties)
    for patterns in globs.values():
        if len(patterns) > 1:
            _ties(patterns, ties)
    for (a, b), model in sorted(ties.items()):
        _report_tie(work, work.drafts[a], work.drafts[b], model)
    _shadows(work, exact, globs, {name for pair in ties for name in pair})


def _ties(patterns: Iterable[_Pattern], ties: dict[tuple[str, str], str]) -> None:
    """Adds the first tie of each route among patterns that are equally specific."""
    groups: dict[tuple[int, bool], list[_Pattern]] = {}
    for pattern, draft in patterns:
        groups.setdefault((draft.priority, draft.when is None), []).append((pattern, draft))
    for group in groups.values():
        if len(group) < 2:
            continue
        group.sort(key=lambda entry: (entry[1].name, entry[0]))
        for one, rest in _that_may_meet(group):
            for i, entry in enumerate(one):
                _first_tie(entry, (*one[:i], *rest), ties)


def _first_tie(entry: _Pattern, others: Iterable[_Pattern], ties: dict[tuple[str, str], str]) -> None:
    pattern, draft = entry
    for other, earlier in others:
        if earlier is not draft and _meet(pattern, draft, other, earlier):
            first, second = sorted((earlier.name, draft.name))
            ties.setdefault((first, second), pattern)
            return


def _meet(pattern: str, draft: Draft, other: str, earlier: Draft) -> bool:
    if is_glob(pattern):
        return overlap(pattern, other) and may_hold(draft.when, earlier.when)
    return may_hold(draft.when, earlier.when, Test("model", "eq", pattern))


def _that_may_meet(group: list[_Pattern]) -> Iterator[tuple[list[_Pattern], list[_Pattern]]]:
    """Parts of the group: routes meet within the first list, or one of the first with one of the second, or not at all.

    Routes that ask for different values of one attribute do not meet; the attribute is the one most of them ask for.
    """
    asked = [demanded(draft.when) for _, draft in group] if len(group) > _FEW else []
    counts = Counter(attribute for values in asked for attribute in values)
    best, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    if count < 2:
        yield group, []
        return
    loose = [entry for entry, values in zip(group, asked, strict=True) if best not in values]
    parts: dict[str, list[_Pattern]] = {}
    for entry, values in zip(group, asked, strict=True):
        for value in values.get(best, ()):
            parts.setdefault(value, []).append(entry)
    for part in parts.values():
        yield part, loose
    if loose:
        yield from _that_may_meet(loose)


def _report_tie(work: Work, a: Draft, b: Draft, model: str) -> None:
    summary = f'nothing decides between routes "{a.name}" and "{b.name}" for model "{model}"'
    label = f'as good a match as route "{a.name}"'
    hint = f"give one of them a higher `priority` (both have {b.priority})"
    if b.when is not None:
        hint += ", or make their conditions exclude each other in one attribute"
    place = (("route", a.name), _written(work, a), f'route "{a.name}" matches it too')
    work.find("P405", ("route", b.name), _written(work, b), summary, label=label, hint=hint, related=(place,))


def _written(work: Work, draft: Draft) -> tuple[str, ...]:
    """Where a route says which models it matches."""
    return ("match", "model") if work.declared.route[draft.name].model.match.models else ("name",)


def _shadows(work: Work, exact: Mapping[str, list[Draft]], globs: Mapping[str, list[_Pattern]], tied: set[str]) -> None:
    for drafts in exact.values():
        drafts.sort(key=_rank)
    for entries in globs.values():
        entries.sort(key=lambda entry: _rank(entry[1]))
    used = {route for draft in work.drafts.values() for route, _ in draft.routes}
    top = max((entries[0][1].priority for entries in globs.values()), default=0)
    for draft in work.drafts.values():
        if draft.name in used or draft.name in tied:
            continue
        hiding: list[Draft] = []
        for pattern in draft.models:
            like = globs[literal_prefix(pattern)] if is_glob(pattern) else exact[pattern]
            alone = len(like) == 1 and top <= draft.priority
            hidden = None if alone else _hidden(draft, pattern, exact, globs)
            if hidden is None:
                break
            hiding.append(hidden)
        else:
            _report_shadow(work, draft, hiding[0])


def _hidden(
    draft: Draft, pattern: str, exact: Mapping[str, list[Draft]], globs: Mapping[str, list[_Pattern]]
) -> Draft | None:
    """A route that takes every request this pattern could bring to ``draft``."""
    left: list[Condition] = [] if draft.when is None else [draft.when]
    if not is_glob(pattern):
        left.append(Test("model", "eq", pattern))
    asked = 0
    for other in _before(draft, pattern, exact, globs):
        if other.when is None:
            return other
        if asked < _MOST_ASKED:
            asked += 1
            left.append(Not(other.when))
            if not may_hold(*left):
                return other
    return None


def _before(
    draft: Draft, pattern: str, exact: Mapping[str, list[Draft]], globs: Mapping[str, list[_Pattern]]
) -> Iterator[Draft]:
    """Routes that are considered before ``draft`` for every model that the pattern matches."""
    rank, own = _rank(draft), not is_glob(pattern)
    if own:
        yield from islice((other for other in exact[pattern] if _rank(other) < rank), _MOST_COMPARED)
    prefix = literal_prefix(pattern)
    for length in range(len(prefix) + 1):
        entries = globs.get(prefix[:length], ())
        # A glob of the same priority comes first only if it is as specific and, unlike the draft, has a condition.
        bound = rank if not own and length == len(prefix) else (rank[0], False)
        for glob, other in islice(entries, _MOST_COMPARED):
            if _rank(other) >= bound:
                break
            if other is not draft and covers(glob, pattern):
                yield other


def _rank(draft: Draft) -> tuple[int, bool]:
    return -draft.priority, draft.when is None


def _report_shadow(work: Work, draft: Draft, other: Draft) -> None:
    summary = f'route "{draft.name}" can never be chosen'
    label = f'route "{other.name}" takes all of these first'
    hint = f'raise its priority above {other.priority}, narrow "{other.name}", or remove "{draft.name}"'
    place = (("route", other.name), _written(work, other), f'route "{other.name}" is considered first')
    work.find("P406", ("route", draft.name), _written(work, draft), summary, label=label, hint=hint, related=(place,))
