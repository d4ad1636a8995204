"""What the configuration language describes and this version cannot carry out, and what to write instead.

Everything here is refused by name (P414) or warned about (W905); nothing is accepted and quietly ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Hints for P414, by what was written.
INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "holdout": "remove `holdout`, or add a split around this one whose first variant is the held-out step",
    }
)

#: Kinds of document that are validated but not acted on, and what they would do.
ONLY_CHECKED: Mapping[str, str] = MappingProxyType(
    {
        "budget": "nothing is counted or refused by it",
    }
)
