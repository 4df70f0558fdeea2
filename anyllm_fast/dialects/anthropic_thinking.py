"""`thinking` and `output_config.effort` of Anthropic Messages, both ways."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.anthropic_blocks import is_signed
from anyllm_fast.dialects.anthropic_tools import forces_a_tool
from anyllm_fast.neutral.effort import MIN_BUDGET, budget_of, effort_in_force, effort_of, word
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import leftovers, need_text, open_object, refuse, take, take_count, take_string, text_of, wrong
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, Reasoning, Request, Thinking, ToolCall, ToolResult

_MODES: Final = {"enabled": "budget", "adaptive": "adaptive", "between_tools": "between_tools", "disabled": "off"}
_TYPES: Final = {mode: kind for kind, mode in _MODES.items()}
_WORDS: Final = {"minimal": "low"}  # words that the API does not have, and its nearest


def read_thinking(members: Members, request: Request) -> None:
    config = request.inner.get("output_config", {})
    effort = take_string(config, "effort", (ROOT, "output_config"))
    if not config:
        request.inner.pop("output_config", None)
    raw = take(members, "thinking")
    if raw is None and effort is None:
        return
    where: Where = (ROOT, "thinking")
    reasoning = Reasoning(effort=effort, where=where, effort_where=((ROOT, "output_config"), "effort"))
    request.reasoning = reasoning
    if raw is None:
        reasoning.where = reasoning.effort_where
        return
    inside = open_object(raw, where)
    kind = need_text(inside, "type", where)
    if kind not in _MODES:
        raise refuse((where, "type"), f"expected enabled, adaptive, between_tools or disabled, got {kind!r}")
    reasoning.mode = _MODES[kind]  # type: ignore[assignment]  # one of Reasoning's modes
    if kind == "enabled":
        budget = take_count(inside, "budget_tokens", where)
        if budget is None:
            raise wrong(None, "an integer", (where, "budget_tokens"))
        reasoning.budget = msgspec.json.decode(budget, type=int)
    reasoning.display = take_string(inside, "display", where)
    reasoning.display_where = (where, "display")
    reasoning.private = leftovers(inside)


def write_thinking(out: Json, outgoing: Outgoing) -> None:
    """Sets `thinking` and `output_config.effort`; may raise max_tokens, which has to be above a budget."""
    reasoning = outgoing.request.reasoning
    if reasoning is None:
        return
    if outgoing.own:
        _write_own(out, outgoing, reasoning)
        return
    outgoing.private({}, reasoning.private, reasoning.where)
    effort, _ = effort_in_force(outgoing.request)
    said = word(effort) or (effort_of(reasoning.budget) if reasoning.budget is not None else "")
    if reasoning.mode == "off" or said == "none":
        _write_off(out, outgoing, reasoning)
    elif forces_a_tool(out):
        outgoing.lose(reasoning.where, "the target cannot think while a tool is forced")
    elif outgoing.profile.adaptive_thinking:
        if reasoning.mode:
            out["thinking"] = {"type": "adaptive"}
        if said:
            out["output_config"] = {"effort": _WORDS.get(said, said)}
    elif reasoning.mode:
        _write_budget(out, outgoing, reasoning.budget or budget_of(said))
    else:
        outgoing.lose(reasoning.effort_where, "the model takes no effort")
    if reasoning.display is not None:
        _write_display(out, outgoing, reasoning, reasoning.display)


def _write_display(out: Json, outgoing: Outgoing, reasoning: Reasoning, display: Raw) -> None:
    """How thoughts are shown is said where there may be some; that none are shown says nothing where there are none."""
    thinking = out.get("thinking", {"type": "disabled"})
    if thinking["type"] != "disabled":
        thinking["display"] = display
    elif text_of(display) != "omitted":
        outgoing.lose(reasoning.display_where, "the model is not asked to think")


def _write_own(out: Json, outgoing: Outgoing, reasoning: Reasoning) -> None:
    if reasoning.mode in _TYPES:
        said: Json = {"type": _TYPES[reasoning.mode]}
        if reasoning.budget is not None:
            said["budget_tokens"] = reasoning.budget
        if reasoning.display is not None:
            said["display"] = reasoning.display
        outgoing.private(said, reasoning.private, reasoning.where)
        out["thinking"] = said
    if reasoning.effort is not None:
        out["output_config"] = {"effort": reasoning.effort}


def _write_off(out: Json, outgoing: Outgoing, reasoning: Reasoning) -> None:
    if outgoing.profile.thinking_off:
        out["thinking"] = {"type": "disabled"}
        return
    out["output_config"] = {"effort": "low"}
    outgoing.lose(reasoning.where, "the model always thinks: it is asked for its lowest effort")


def _write_budget(out: Json, outgoing: Outgoing, budget: int) -> None:
    """A budget from a word of effort is only a guess, so it gives way to the client's max_tokens; below the least it cannot."""
    reasoning = outgoing.request.reasoning
    assert reasoning is not None  # noqa: S101 - the caller has it
    if _unsigned_loop(outgoing.request):
        outgoing.lose(reasoning.where, "the tool calls being answered came without signed reasoning, which the model demands")
        return
    budget = max(budget, MIN_BUDGET)
    limit = _limit(out["max_tokens"])
    if limit <= budget:
        if limit > MIN_BUDGET:
            budget = max(MIN_BUDGET, limit // 2)
        else:
            budget = MIN_BUDGET
            out["max_tokens"] = limit + budget
            outgoing.lose(outgoing.request.path("max_tokens"), f"raised to make room for {budget} tokens of thinking")
    out["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _limit(said: Raw | int) -> int:
    return said if isinstance(said, int) else msgspec.json.decode(said, type=int)


def _unsigned_loop(request: Request) -> bool:
    """Whether the request goes on with a tool loop whose first answer has no thinking block: with a budget that is a 400."""
    for turn in reversed(request.turns):
        if turn.role == "user" and all(type(part) is ToolResult for part in turn.parts):
            continue
        if turn.role == "assistant" and any(type(part) is ToolCall for part in turn.parts):
            first = turn.parts[0]
            return not (isinstance(first, Thinking) and is_signed(first))
        return False
    return False
