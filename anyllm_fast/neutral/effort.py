"""How hard a model may think, said in one vendor's unit and meant in another's: tokens of a budget, or a word. Knows no dialect.

The steps between the two are LiteLLM's, which clients that switch from it expect.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.neutral.members import text_of
from anyllm_fast.neutral.request import Request, ToolResult, Turn

MIN_BUDGET: Final = 1024  # Anthropic refuses less

_BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_DEFAULT: Final = "high"


def budget_of(effort: str) -> int:
    """Tokens for a word. One that is not known yet counts as high, so that a new word is no refusal."""
    return _BUDGETS.get(effort, _BUDGETS[_DEFAULT])


def effort_of(budget: int) -> str:
    if budget >= 4096:
        return "high"
    if budget >= 2048:
        return "medium"
    return "low" if budget >= 1024 else "minimal"


def effort_in_force(request: Request) -> tuple[Raw | None, Turn | None]:
    """The effort that the next answer is due, and the system turn that set it (None: the request's own).

    A turn's effort counts from the user turn that it follows, or else from the next one; a user turn of nothing but tool results
    continues the old one. Source: platform.claude.com, per-message effort.
    """
    force: Raw | None = request.reasoning.effort if request.reasoning is not None else None
    setter: Turn | None = None
    due: Turn | None = None
    fresh = False  # the turn before was new user input
    for turn in request.turns:
        if turn.role == "system":
            if turn.effort is None:
                continue
            if fresh:
                force, setter, due = turn.effort, turn, None
            else:
                due = turn
            continue
        fresh = turn.role == "user" and any(type(part) is not ToolResult for part in turn.parts)
        if fresh and due is not None:
            force, setter, due = due.effort, due, None
    return force, setter


def word(effort: Raw | None) -> str:
    return "" if effort is None else text_of(effort)
