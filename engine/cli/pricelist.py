"""The price list that the package ``genai-prices`` ships, as prices of this configuration language.

The list is read when a command asks for it, never when the engine starts, and nothing is fetched: a newer list comes
with a newer package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from .terminal import Problem, nearest

#: Our name of a price -> the list's; all are USD per million tokens.
_NAMES: Mapping[str, str] = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}
_PER_THOUSAND_REQUESTS = "requests_kcount"
#: Prices of one day are looked at this often, to find those that change with the time of day.
_STEP = timedelta(minutes=30)


@dataclass(frozen=True)
class Listed:
    """What the list says of one model: ``prices`` in our names and units, ``tiers`` in full, ascending.

    ``reason`` says why there are no prices, empty where there are some.
    """

    prices: Mapping[str, Decimal]
    tiers: tuple[Mapping[str, Decimal | int], ...] = ()
    reason: str = ""


NOT_LISTED = Listed({}, reason="not in the list")
BY_TIME = Listed({}, reason="changes with the time of day")
OTHER_UNITS = Listed({}, reason="priced in units that have no name here")


class PriceList:
    """The list of the installed package. Raises :class:`Problem` where the package is missing."""

    def __init__(self) -> None:
        try:
            import genai_prices
            from genai_prices.data import providers
        except ImportError:
            raise Problem(
                "the price list is not installed", "pip install 'interlock[prices]' brings it (genai-prices)"
            ) from None
        self.version = genai_prices.__version__
        self._all = providers
        self._by_id = {provider.id: provider for provider in providers}

    def find(self, provider: str, model: str, day: date) -> Listed:
        """The prices of a provider's model on a day (UTC), by the upstream's name for it.

        Raises :class:`Problem` where the list has no such provider.
        """
        known = self._by_id.get(provider)
        if known is None:
            hint = nearest(provider, self._by_id) or "write an id of genai-prices, or remove `prices`"
            raise Problem(f'the price list has no provider "{provider}"', hint)
        entry = known.find_model(model, all_providers=self._all)
        if entry is None:
            return NOT_LISTED
        start = datetime.combine(day, time(), UTC)
        every = [_known(entry.get_prices(start + _STEP * i)) for i in range(timedelta(days=1) // _STEP)]
        if any(prices != every[0] for prices in every):
            return BY_TIME
        return _listed(every[0]) if every[0] else OTHER_UNITS


def _known(prices: Any) -> dict[str, Any]:
    """The prices that have a name here, each a number or with tiers."""
    found = {ours: getattr(prices, theirs, None) for ours, theirs in _NAMES.items()}
    requests = getattr(prices, _PER_THOUSAND_REQUESTS, None)
    if isinstance(requests, Decimal):
        found["request"] = requests / 1000
    return {name: value for name, value in found.items() if value is not None}


def _listed(found: Mapping[str, Any]) -> Listed:
    """Tiers here name every price that differs from the base, because each stands for itself."""
    tiered = {name: value for name, value in found.items() if not isinstance(value, Decimal)}
    prices = {name: value.base if name in tiered else value for name, value in found.items()}
    tiers = []
    for start in sorted({tier.start for value in tiered.values() for tier in value.tiers}):
        at: dict[str, Decimal | int] = {"above": start}
        for name, value in tiered.items():
            price = next((tier.price for tier in reversed(value.tiers) if tier.start <= start), value.base)
            if price != value.base:
                at[name] = price
        tiers.append(at)
    return Listed(prices, tuple(tiers))


def differences(declared: Mapping[str, Any], listed: Listed) -> dict[str, tuple[Any, Any]]:
    """Price -> (as declared, as listed) where they are not the same; either side may be ``None``.

    A price that the list does not name stays as it was declared by hand; tiers follow the list as a whole.
    """
    if listed.reason:
        return {}
    found: dict[str, tuple[Any, Any]] = {
        name: (declared.get(name), price)
        for name, price in listed.prices.items()
        if declared.get(name) is None or _decimal(declared[name]) != price
    }
    said = [{name: _decimal(value) for name, value in tier.items()} for tier in declared.get("tiers") or ()]
    if said != [{name: _decimal(value) for name, value in tier.items()} for tier in listed.tiers]:
        found["tiers"] = (declared.get("tiers"), list(listed.tiers) or None)
    return found


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))
