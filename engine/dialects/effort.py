"""Words for how hard a model shall think, and what they amount to in tokens.

Some protocols take a word, others a budget. The budgets are those that Google documents where its OpenAI-compatible
endpoint turns words into budgets (the only first-hand table there is): 1,024 for ``low``, 8,192 for ``medium``, 24,576
for ``high``. Beyond it stands 32,000: the most that Anthropic's guide to thinking advises for requests that are not
batched.
"""

from __future__ import annotations

#: Tokens by word; every word that occurs in a protocol.
BUDGETS = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32000,
    "max": 32000,
}

#: Words that mean «not at all».
NOT_AT_ALL = frozenset({"none", "off", "disabled"})


def budget_of(effort: str) -> int | None:
    """The tokens that ``effort`` amounts to; ``None`` for a word that is not known."""
    return BUDGETS.get(effort.lower())


def effort_of(budget: int) -> str:
    """The word whose budget is the least that ``budget`` tokens fit in; ``high`` for all above."""
    if budget <= BUDGETS["low"]:
        return "low"
    return "medium" if budget <= BUDGETS["medium"] else "high"
