"""How much a model on Bedrock may think, both ways. Each family has members of its own for it in additionalModelRequestFields.

thinking, output_config.effort     Claude, as in its own API (reasoning_config is what `thinking` was called here before)
reasoning_effort                   gpt-oss, DeepSeek and others of OpenAI's manner
reasoningConfig                    Nova 2
outputConfig.effort                the API's own, beside those fields
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.bedrock_tools import FIELDS, forces_a_tool
from anyllm_fast.neutral.effort import MIN_BUDGET, budget_of, effort_in_force, effort_of, word
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import is_string, leftovers, open_object, take_count, take_string, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, Reasoning, Request, Thinking, ToolCall, ToolResult

_PLACE: Final[Where] = (ROOT, FIELDS)
_MODES: Final = {"enabled": "budget", "adaptive": "adaptive", "between_tools": "between_tools", "disabled": "off"}
_TYPES: Final = {mode: kind for kind, mode in _MODES.items()}
_WORDS: Final = {"minimal": "low"}  # words that Claude does not have, and its nearest
_SHOWN: Final = Raw(b'"summarized"')  # what holds without a word
_NOVA: Final = {"minimal": "low", "xhigh": "high", "max": "high"}


# -- reading -----------------------------------------------------------------------------------------------------------


def read_thinking(fields: Members, config: Members, request: Request) -> None:
    """Takes what is understood out of additionalModelRequestFields and outputConfig; what is not stays, for this dialect."""
    found = _read_claude(fields) or _read_nova(fields) or _read_effort(fields)
    effort, place = _take_effort(fields, config)
    if effort is not None:
        found = found or Reasoning(where=place)
        found.effort, found.effort_where = effort, place
    request.reasoning = found


def _read_claude(fields: Members) -> Reasoning | None:
    for name in ("thinking", "reasoning_config"):
        raw = fields.get(name)
        if raw is None or memoryview(raw)[0] != 0x7B:
            continue
        where: Where = (_PLACE, name)
        inside = open_object(raw, where)
        kind = take_string(inside, "type", where)
        mode = None if kind is None else _MODES.get(text_of(kind))
        if mode is None:
            continue
        reasoning = Reasoning(mode=mode, where=where)  # type: ignore[arg-type]  # a value of _MODES
        budget = take_count(inside, "budget_tokens", where)
        reasoning.budget = None if budget is None else msgspec.json.decode(budget, type=int)
        reasoning.display = take_string(inside, "display", where)
        reasoning.display_where = (where, "display")
        reasoning.private = leftovers(inside)
        del fields[name]
        return reasoning
    return None


def _read_nova(fields: Members) -> Reasoning | None:
    raw = fields.get("reasoningConfig")
    if raw is None or memoryview(raw)[0] != 0x7B:
        return None
    where: Where = (_PLACE, "reasoningConfig")
    inside = open_object(raw, where)
    kind = take_string(inside, "type", where)
    said = None if kind is None else text_of(kind)
    if said not in ("enabled", "disabled"):
        return None
    reasoning = Reasoning(mode="effort" if said == "enabled" else "off", where=where)
    reasoning.effort = take_string(inside, "maxReasoningEffort", where)
    reasoning.effort_where = (where, "maxReasoningEffort")
    reasoning.private = leftovers(inside)
    del fields["reasoningConfig"]
    return reasoning


def _read_effort(fields: Members) -> Reasoning | None:
    raw = fields.get("reasoning_effort")
    if raw is None or not is_string(raw):
        return None
    where: Where = (_PLACE, "reasoning_effort")
    del fields["reasoning_effort"]
    return Reasoning(mode="off" if text_of(raw) == "none" else "effort", effort=raw, where=where, effort_where=where)


def _take_effort(fields: Members, config: Members) -> tuple[Raw | None, Where]:
    """The effort of all work, where it stands alone in its object: Claude's, or the API's own."""
    raw = fields.get("output_config")
    if raw is not None and memoryview(raw)[0] == 0x7B:
        where: Where = (_PLACE, "output_config")
        inside = open_object(raw, where)
        if list(inside) == ["effort"]:
            del fields["output_config"]
            return take_string(inside, "effort", where), (where, "effort")
    place: Where = (ROOT, "outputConfig")
    return take_string(config, "effort", place), (place, "effort")


# -- writing -----------------------------------------------------------------------------------------------------------


def write_thinking(out: Json, outgoing: Outgoing) -> None:
    """May raise maxTokens, which has to be above a budget."""
    reasoning = outgoing.request.reasoning
    if outgoing.own:
        if reasoning is not None:
            _write_own(out, outgoing, reasoning)
        return
    effort, setter = effort_in_force(outgoing.request)
    if reasoning is None and effort is None:
        return
    reasoning = reasoning or Reasoning()
    outgoing.private({}, reasoning.private, reasoning.where)
    if setter is not None:
        reasoning = msgspec.structs.replace(reasoning, effort_where=setter.effort_where)
    said = word(effort) or (effort_of(reasoning.budget) if reasoning.budget is not None else "")
    if outgoing.profile.anthropic_model:
        _write_claude(out, outgoing, reasoning, said)
        return
    if reasoning.display is not None and reasoning.display != _SHOWN:
        outgoing.lose(reasoning.display_where)
    _write_word(out, outgoing, reasoning, said)


def _write_own(out: Json, outgoing: Outgoing, reasoning: Reasoning) -> None:
    name = reasoning.where[1] if reasoning.where else ""
    if name in ("thinking", "reasoning_config", "reasoningConfig"):
        kind = _TYPES.get(reasoning.mode, "enabled")
        said: Json = {"type": kind}
        if reasoning.budget is not None:
            said["budget_tokens"] = reasoning.budget
        if reasoning.display is not None:
            said["display"] = reasoning.display
        outgoing.private(said, reasoning.private, reasoning.where)
        _put(out, reasoning.where, said)
    if reasoning.effort is not None:
        _put(out, reasoning.effort_where, reasoning.effort)


def _put(out: Json, where: Where, value: Raw | Json) -> None:
    """Sets the member with this path."""
    if not where:
        return
    steps: list[str] = []
    above, last = where
    while above:
        above, step = above
        steps.append(str(step))
    for step in reversed(steps):
        out = out.setdefault(step, {})
    out[str(last)] = value


def _write_claude(out: Json, outgoing: Outgoing, reasoning: Reasoning, said: str) -> None:
    fields: Json = {}
    if reasoning.mode == "off" or said == "none":
        if outgoing.profile.thinking_off:
            fields["thinking"] = {"type": "disabled"}
        else:
            fields["output_config"] = {"effort": "low"}
            outgoing.lose(reasoning.where, "the model always thinks: it is asked for its lowest effort")
    elif forces_a_tool(out):
        outgoing.lose(reasoning.where, "the target cannot think while a tool is forced")
    elif outgoing.profile.adaptive_thinking:
        if reasoning.mode:
            kind = "between_tools" if reasoning.mode == "between_tools" else "adaptive"
            fields["thinking"] = {"type": kind} | ({} if reasoning.display is None else {"display": reasoning.display})
        if said:
            fields["output_config"] = {"effort": _WORDS.get(said, said)}
    elif reasoning.mode:
        _write_budget(out, fields, outgoing, reasoning.budget or budget_of(said))
    else:
        outgoing.lose(reasoning.effort_where, "the model takes no effort")
    thinking = fields.get("thinking", {"type": "disabled"})
    if (
        reasoning.display is not None
        and "display" not in thinking
        and (thinking["type"] == "disabled" or reasoning.display != _SHOWN)
    ):
        outgoing.lose(reasoning.display_where, "only said while the model thinks by itself")
    if fields:
        out.setdefault(FIELDS, {}).update(fields)


def _write_budget(out: Json, fields: Json, outgoing: Outgoing, budget: int) -> None:
    """A budget from a word of effort is only a guess, so it gives way to the client's limit; below the least it cannot."""
    request = outgoing.request
    where = request.reasoning.where if request.reasoning is not None else ROOT
    if _unsigned_loop(request):
        outgoing.lose(where, "the tool calls being answered came without signed reasoning, which the model demands")
        return
    budget = max(budget, MIN_BUDGET)
    given = out.get("inferenceConfig", {}).get("maxTokens")
    limit = given if given is None or isinstance(given, int) else msgspec.json.decode(given, type=int)
    if limit is None:  # the service's own is below many a budget, and refused then
        limit = outgoing.profile.default_max_tokens
        out.setdefault("inferenceConfig", {})["maxTokens"] = limit if limit > budget else limit + budget
    elif limit <= budget:
        if limit > MIN_BUDGET:
            budget = max(MIN_BUDGET, limit // 2)
        else:
            budget = MIN_BUDGET
            out["inferenceConfig"]["maxTokens"] = limit + budget
            outgoing.lose(request.path("max_tokens"), f"raised to make room for {budget} tokens of thinking")
    fields["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _unsigned_loop(request: Request) -> bool:
    """Whether the request goes on with a tool loop whose first answer has no signed thinking: with a budget that is a 400."""
    for turn in reversed(request.turns):
        if turn.role == "user" and all(type(part) is ToolResult for part in turn.parts):
            continue
        if turn.role == "assistant" and any(type(part) is ToolCall for part in turn.parts):
            first = turn.parts[0]
            return not (isinstance(first, Thinking) and first.origin and (first.redacted or first.signature is not None))
        return False
    return False


def _write_word(out: Json, outgoing: Outgoing, reasoning: Reasoning, said: str) -> None:
    """One word, where the model's family takes one: its member is a fact of the profile."""
    off = reasoning.mode == "off" or said == "none"
    where = reasoning.where if reasoning.mode == "off" else reasoning.effort_where
    field = outgoing.profile.converse_effort
    if not field:
        if not off and reasoning.mode:
            outgoing.lose(reasoning.where, "the model takes no settings of reasoning")
        if not off and word(effort_in_force(outgoing.request)[0]):
            outgoing.lose(reasoning.effort_where, "the model takes no settings of reasoning")
        if off:
            outgoing.lose(where, "the model cannot be told not to reason")
        return
    if reasoning.mode == "between_tools":
        outgoing.lose((reasoning.where, "type"), "the target cannot limit thinking to the time between tool calls")
    fields: Json = out.setdefault(FIELDS, {}) if field != "outputConfig" else {}
    if field == "reasoningConfig":
        effort = _NOVA.get(said, said) or "high"
        fields[field] = {"type": "disabled"} if off else {"type": "enabled", "maxReasoningEffort": effort}
    elif off:
        outgoing.lose(where, "the model always reasons: it is asked for its lowest effort")
        _say(out, fields, field, "low")
    else:
        _say(out, fields, field, said or "high")


def _say(out: Json, fields: Json, field: str, effort: str) -> None:
    if field == "outputConfig":
        out.setdefault("outputConfig", {})["effort"] = _WORDS.get(effort, effort)
    else:
        fields[field] = effort
