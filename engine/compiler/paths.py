"""The ways that failovers can take through a route's steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.documents import Path

from .blueprint import AmongEquals, Beside, Blueprint, Draft, InTurn, UseRoute, UseTarget, children

Use = tuple[str, Path]
"""A target, and where in this route's document it comes from (a used route's targets: where that route is named)."""


class Paths:
    """Reads the steps of one route; other routes' steps count where they are used."""

    def __init__(self, drafts: Mapping[str, Draft]) -> None:
        self.drafts = drafts

    def uses(self, step: Blueprint, at: Path | None = None) -> Iterator[Use]:
        """Every use of a target at or below ``step``, in tree order; a used route's are all at ``at``."""
        if isinstance(step, UseTarget):
            yield step.target, step.at if at is None else at
        elif isinstance(step, UseRoute):
            yield from self.uses(self.drafts[step.route].root, step.at if at is None else at)
        else:
            for below in children(step):
                yield from self.uses(below, at)

    def longest(self, step: Blueprint, at: Path | None = None) -> list[Use]:
        """The uses along the path that tries the most targets, each target once, in the order they are tried."""
        if isinstance(step, UseTarget):
            return [(step.target, step.at if at is None else at)]
        if isinstance(step, UseRoute):
            return self.longest(self.drafts[step.route].root, step.at if at is None else at)
        ways = [self.longest(below, at) for below in children(step)]
        if not isinstance(step, InTurn | Beside | AmongEquals):
            return max(ways, key=len, default=[])
        found: dict[str, Path] = {}
        for way in ways:
            for target, place in way:
                found.setdefault(target, place)
        return list(found.items())

    def repeated(self, step: Blueprint) -> Iterator[Use]:
        """Uses of a target that an earlier step of the same fallback, hedge or balance uses already."""
        if isinstance(step, InTurn | Beside | AmongEquals):
            seen: set[str] = set()
            for below in children(step):
                own = list(self.uses(below))
                yield from ((target, at) for target, at in dict.fromkeys(own) if target in seen)
                seen.update(target for target, _ in own)
        for below in children(step):
            yield from self.repeated(below)

    def fallbacks(self, step: Blueprint) -> Iterator[tuple[list[Use], list[Use]]]:
        """For each fallback or hedge: the uses of its first step, and those of all later ones."""
        if isinstance(step, InTurn | Beside):
            first, *later = [list(self.uses(below)) for below in step.steps]
            yield first, [use for uses in later for use in uses]
        for below in children(step):
            yield from self.fallbacks(below)
