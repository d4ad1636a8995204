"""References between documents: targets and routes that exist, no circles, no tree beyond measure."""

from __future__ import annotations

from ..blueprint import Draft
from ..references import unknown
from ..work import Work

#: Steps, and levels of steps, of a route together with the routes it uses.
MOST_STEPS = 5_000
DEEPEST = 64


def run(work: Work) -> None:
    """Fills ``order``: the routes that can be lowered, each after the routes it uses."""
    targets = work.targets
    complete: set[str] = set()
    linked: list[str] = []
    for name, draft in work.drafts.items():
        if all(target in targets for target, _ in draft.targets):
            complete.add(name)
        else:
            for target, path in draft.targets:
                if target not in targets:
                    unknown(work, "target", target, ("route", name), path)
        if draft.routes:
            linked.append(name)
            _check_routes(work, draft)
        elif name in complete:
            work.order.append(name)
    in_circle = _circles(work, linked)
    sizes: dict[str, tuple[int, int] | None] = {}
    for name in _after_what_they_use(work, linked, in_circle):
        sizes[name] = _size(work, name, sizes)
        if sizes[name] is not None and name in complete and _usable(work, name, complete):
            work.order.append(name)
        else:
            complete.discard(name)


def _check_routes(work: Work, draft: Draft) -> None:
    for route, path in draft.routes:
        if route not in work.drafts:
            unknown(work, "route", route, ("route", draft.name), path)


def _usable(work: Work, name: str, complete: set[str]) -> bool:
    return all(route in complete for route, _ in work.drafts[name].routes)


def _circles(work: Work, linked: list[str]) -> set[str]:
    """The routes from which a circle can be reached; each circle is reported once, at its first route by name."""
    done: set[str] = set()
    reported: set[frozenset[str]] = set()
    bad: set[str] = set()
    for start in sorted(linked):
        trail: list[str] = []
        on_trail: dict[str, int] = {}
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                trail.pop()
                del on_trail[name]
                done.add(name)
                continue
            if name in on_trail:
                circle = trail[on_trail[name] :]
                bad.update(trail)
                if frozenset(circle) not in reported:
                    reported.add(frozenset(circle))
                    _report(work, circle)
                continue
            if name in done:
                if name in bad:
                    bad.update(trail)
                continue
            draft = work.drafts.get(name)
            if draft is None:
                continue
            on_trail[name] = len(trail)
            trail.append(name)
            stack.append((name, False))
            stack.extend((route, True) for route, _ in reversed(draft.routes))
    return bad


def _report(work: Work, circle: list[str]) -> None:
    first = circle.index(min(circle))
    circle = [*circle[first:], *circle[:first]]
    links = list(zip(circle, [*circle[1:], circle[0]], strict=True))
    places = [next(at for route, at in work.drafts[name].routes if route == used) for name, used in links]
    related = tuple(
        (("route", name), at, f'"{name}" uses "{used}"') for (name, used), at in zip(links[1:], places[1:], strict=True)
    )
    way = " -> ".join([*circle, circle[0]])
    summary = f'route "{circle[0]}" uses itself' + (f": {way}" if len(circle) > 1 else "")
    hint = "replace one link of the circle with targets, or with a route outside it"
    work.find("R304", ("route", circle[0]), places[0], summary, label=way, hint=hint, related=related)


def _after_what_they_use(work: Work, linked: list[str], in_circle: set[str]) -> list[str]:
    """The linked routes outside circles, each after those it uses."""
    order: list[str] = []
    done: set[str] = set()
    for start in linked:
        stack = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                order.append(name)
                continue
            if name in done or name in in_circle or name not in work.drafts or not work.drafts[name].routes:
                continue
            done.add(name)
            stack.append((name, False))
            stack.extend((route, True) for route, _ in work.drafts[name].routes)
    return order


def _size(work: Work, name: str, sizes: dict[str, tuple[int, int] | None]) -> tuple[int, int] | None:
    """Steps and depth with everything in place; ``None`` is too much, here or further down."""
    draft = work.drafts[name]
    steps, depth = draft.steps, draft.depth
    for route, path in draft.routes:
        used = work.drafts.get(route)
        if used is None:
            continue
        size = sizes[route] if used.routes and route in sizes else (used.steps, used.depth)
        if size is None:
            return None
        steps += size[0]
        depth = max(depth, draft.depth + size[1])
        if steps > MOST_STEPS or depth > DEEPEST:
            summary = f'route "{name}" becomes too large with the routes it uses'
            label = f"more than {MOST_STEPS} steps" if steps > MOST_STEPS else f"steps more than {DEEPEST} levels deep"
            hint = "use the common part once, or split the route"
            work.find("P413", ("route", name), path, summary, label=label, hint=hint)
            return None
    return steps, depth
