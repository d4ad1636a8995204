"""Is there a request for which this holds? Decided by z3 over tests, and by the meaning of tests themselves.

The solver sees every test of an attribute as a proposition. What it proposes is held against :func:`example`, which
knows what the operators mean; where no value has those answers it is told so, and proposes again.
So nothing here is a second reading of conditions, and "no" is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import z3
from msgspec import Struct

from engine.graph import All, Condition, Key, Not, Test
from engine.graph.conditions import holds
from engine.graph.domains import Answer, Example, Literal, example
from engine.graph.satisfy import alternatives

from .ways import LOT, NEVER

#: Milliseconds for one question to z3: conditions are decided in far less.
_PATIENCE = 20_000
#: How many proposals are looked at for one question.
_MOST_ROUNDS = 20_000
#: How many different requests are proposed for the same alternative, if the earlier ones are of no use.
_MOST_OF_ONE = 4

Values = Mapping[str, Any]
"""By attribute, what a request must have; what is not named is free, ``None`` is absent."""


class Proposal(Struct, frozen=True):
    """An alternative that holds of requests with these values; ``values`` is ``None`` where that is not decided."""

    at: int
    values: Values | None


class Solver:
    """Answers questions about one configuration; what it finds out of attributes it keeps.

    ``keys`` are those that clients may use (empty: there are none, and nobody has one), ``lots`` what splits may draw.
    Where tokens of an issuer stand for keys (``open_keys``), a key and what it fixes may be anything.
    """

    def __init__(self, keys: Sequence[Key], lots: Mapping[str, tuple[str, ...]], *, open_keys: bool = False) -> None:
        self.keys = tuple(keys)
        self.lots = lots
        self.open_keys = open_keys
        self._fixed = frozenset({"key", *(f"metadata.{name}" for key in keys for name in key.metadata)})
        if self.keys:
            self._fixed |= {"team"}
        self._atoms: dict[str, z3.BoolRef] = {}
        self._marks: dict[int, tuple[Test, str]] = {}
        self._chosen: list[z3.BoolRef] = []
        self._known: dict[int, tuple[Condition, z3.BoolRef]] = {}
        self._answers: dict[tuple[tuple[str, bool], ...], Answer] = {}

    def possible(self, condition: Condition) -> bool:
        """Whether some request may satisfy the condition; ``False`` is certain."""
        first = next(alternatives(condition), None)
        if first is not None and isinstance(self._values(first), dict):
            return True  # the first way that comes to mind: no need to ask
        return next(self.proposals([condition]), None) is not None

    def proposals(self, asked: Sequence[Condition]) -> Iterator[Proposal]:
        """Requests that satisfy one of the conditions, as long as anybody asks for more.

        Where it ends without any, no request satisfies any: that is certain.
        """
        solver = z3.Solver()
        solver.set("timeout", _PATIENCE)
        while len(self._chosen) < len(asked):
            self._chosen.append(z3.Bool(f"alternative {len(self._chosen)}"))
        chosen = self._chosen[: len(asked)]
        for one, condition in zip(chosen, asked, strict=True):
            solver.add(_joined(z3.Z3_mk_or, [_denied(one), self._whole(condition)]))
        solver.add(_joined(z3.Z3_mk_or, chosen))
        count = [0] * len(chosen)
        for _ in range(_MOST_ROUNDS):
            answer = solver.check()
            if answer == z3.unsat:
                return
            if answer != z3.sat:
                break
            model = solver.model()
            at = next(i for i, one in enumerate(chosen) if z3.is_true(model[one]))
            literals = self._distinct(_reasons(asked[at], True, partial(self._said, model)))
            found = self._values(literals)
            if isinstance(found, tuple):
                solver.add(z3.Not(z3.And(*(self._literal(literal) for literal in found))))
                continue
            yield Proposal(at, found)
            count[at] += 1
            if count[at] >= _MOST_OF_ONE or not literals:
                solver.add(z3.Not(chosen[at]))
            else:
                solver.add(z3.Not(z3.And(chosen[at], *(self._literal(literal) for literal in literals))))
        yield Proposal(-1, None)

    def _distinct(self, literals: Iterable[Literal]) -> list[Literal]:
        return list({(self._mark(literal[0]), literal[1]): literal for literal in literals}.values())

    def _said(self, model: z3.ModelRef, test: Test) -> bool:
        return bool(z3.is_true(model[self._atom(test)]))

    def _literal(self, literal: Literal) -> z3.BoolRef:
        atom = self._atom(literal[0])
        return atom if literal[1] else z3.Not(atom)

    def _mark(self, test: Test) -> str:
        """What tells tests apart. In Python ``1`` and ``true`` are equal; in conditions they are not."""
        known = self._marks.get(id(test))
        if known is None:
            known = self._marks[id(test)] = (test, f"{test.attribute} {test.operator} {test.value!r}")
        return known[1]

    def _atom(self, test: Test) -> z3.BoolRef:
        mark = self._mark(test)
        known = self._atoms.get(mark)
        if known is None:
            known = self._atoms[mark] = z3.Bool(mark)
        return known

    def _expression(self, condition: Condition) -> z3.BoolRef:
        """The condition for z3; remembered, because parts of conditions are asked about again and again."""
        if isinstance(condition, Test):
            return self._atom(condition)
        known = self._known.get(id(condition))
        if known is not None:
            return known[1]
        made = self._whole(condition)
        self._known[id(condition)] = (condition, made)
        return made

    def _whole(self, condition: Condition) -> z3.BoolRef:
        if isinstance(condition, Test):
            return self._atom(condition)
        if isinstance(condition, Not):
            return _denied(self._expression(condition.part))
        parts = [self._expression(part) for part in condition.parts]
        return _joined(z3.Z3_mk_and if isinstance(condition, All) else z3.Z3_mk_or, parts)

    def _values(self, literals: Sequence[Literal]) -> Values | tuple[Literal, ...] | None:
        """What has these answers; a part of them that nothing has; ``None`` where that is not decided."""
        by_attribute: dict[str, list[Literal]] = {}
        for literal in literals:
            by_attribute.setdefault(literal[0].attribute, []).append(literal)
        values: dict[str, Any] = {}
        decided = True
        for attribute, own in by_attribute.items():
            if not self.open_keys and attribute in self._fixed:
                continue
            answer = self._answer(attribute, tuple(own))
            if answer is None:
                return self._fewest(own, partial(self._nothing, attribute))
            if isinstance(answer, Example):
                values[attribute] = answer.value
            else:
                decided = False
        if not self.open_keys:
            about_keys = [literal for literal in literals if literal[0].attribute in self._fixed]
            found = self._by_key(about_keys)
            if found is None:
                return self._fewest(about_keys, lambda fewer: self._by_key(fewer) is None)
            values.update(found)
        return values if decided else None

    def _by_key(self, literals: Sequence[Literal]) -> Values | None:
        """A key that has these answers with what it fixes, and the rest of what they are about."""
        if not literals and not self.keys:
            return {}
        for key in self.keys or (None,):
            given: dict[str, Any] = {"key": key.name if key else None}
            if key is not None:
                given["team"] = key.metadata.get("team")
                given |= {f"metadata.{name}": value for name, value in key.metadata.items()}
            free: dict[str, list[Literal]] = {}
            for test, wanted in literals:
                if test.attribute not in given:
                    free.setdefault(test.attribute, []).append((test, wanted))
                elif holds(test, given[test.attribute]) is not wanted:
                    break
            else:
                answers = {name: self._answer(name, tuple(own)) for name, own in free.items()}
                if all(answer is not None for answer in answers.values()):
                    found = {name: answer.value for name, answer in answers.items() if isinstance(answer, Example)}
                    return {**found, "key": given["key"]}
        return None

    def _answer(self, attribute: str, literals: tuple[Literal, ...]) -> Answer:
        """A value, or that there is none, or that it is not decided; remembered."""
        asked = tuple((self._mark(test), wanted) for test, wanted in literals)
        if asked not in self._answers:
            self._answers[asked] = self._look(attribute, literals)
        return self._answers[asked]

    def _look(self, attribute: str, literals: tuple[Literal, ...]) -> Answer:
        if attribute.startswith(LOT):
            fits = (name for name in self.lots[attribute] if all(holds(t, name) is wanted for t, wanted in literals))
            return next(map(Example, fits), None)
        return example(attribute, literals)

    def _nothing(self, attribute: str, literals: list[Literal]) -> bool:
        return self._answer(attribute, tuple(literals)) is None

    @staticmethod
    def _fewest(literals: list[Literal], impossible: Callable[[list[Literal]], bool]) -> tuple[Literal, ...]:
        """As few of these as are impossible together: what is learnt of few tests is of use more often."""
        kept = list(literals)
        for literal in literals:
            fewer = [one for one in kept if one is not literal]
            if fewer and impossible(fewer):
                kept = fewer
        return tuple(kept)


def _joined(how: Callable[..., Any], parts: Sequence[z3.BoolRef]) -> z3.BoolRef:
    """All or one of the parts. What z3 offers in Python looks at the sort of every part, which takes far longer."""
    context = z3.main_ctx()
    return z3.BoolRef(how(context.ref(), len(parts), (z3.Ast * len(parts))(*(part.ast for part in parts))), context)


def _denied(part: z3.BoolRef) -> z3.BoolRef:
    context = z3.main_ctx()
    return z3.BoolRef(z3.Z3_mk_not(context.ref(), part.ast), context)


def _reasons(condition: Condition, wanted: bool, said: Any) -> Iterator[Literal]:
    """Tests with their answers that are enough for the condition to be as wanted, as the answers say that it is."""
    while isinstance(condition, Not):
        condition, wanted = condition.part, not wanted
    if isinstance(condition, Test):
        yield condition, wanted
    elif isinstance(condition, All) is wanted:
        for part in condition.parts:
            yield from _reasons(part, wanted, said)
    elif condition != NEVER:
        yield from _reasons(next(part for part in condition.parts if _holds(part, said) is wanted), wanted, said)


def _holds(condition: Condition, said: Any) -> bool:
    if isinstance(condition, Test):
        return bool(said(condition))
    if isinstance(condition, Not):
        return not _holds(condition.part, said)
    parts = (_holds(part, said) for part in condition.parts)
    return all(parts) if isinstance(condition, All) else any(parts)
