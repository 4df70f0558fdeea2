"""generationConfig of Gemini, both ways: sampling, limits, thinking, the form of the answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.closed_schema import closed
from anyllm_fast.dialects.gemini_schema import from_openapi, lowered, to_openapi
from anyllm_fast.dialects.gemini_spelling import open_message, spelled
from anyllm_fast.neutral.effort import budget_of, effort_in_force, effort_of, word
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    leftovers,
    number_of,
    open_array,
    open_object,
    refuse,
    string_of,
    take,
    take_count,
    take_flag,
    take_number,
    take_object,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, OutputFormat, Reasoning, Request

CONFIG: Final[Where] = (ROOT, "generationConfig")
MAX_STOPS: Final = 5
LEAST_BUDGET: Final = 128  # what models that always think take at least

_FIELDS: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
"""Fields of the middle and the members that say them."""
_JSON: Final = "application/json"
_IDLE: Final[dict[str, Any]] = {"candidateCount": 1, "responseModalities": ["TEXT"]}
_LEVELS: Final = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH"}


class GivenFormat(OutputFormat, kw_only=True):
    """The form of the answer as a client of Gemini asked for it: `members` go back to Gemini as they are."""

    members: Members


class GivenReasoning(Reasoning, kw_only=True):
    """The same for thinkingConfig."""

    config: Raw


# -- reading -----------------------------------------------------------------------------------------------------------


def read_config(raw: Raw, request: Request) -> None:
    members = open_message(raw, CONFIG)
    for field, name in _FIELDS.items():
        request.where[field] = (CONFIG, name)
    request.temperature = take_number(members, "temperature", CONFIG)
    request.top_p = take_number(members, "topP", CONFIG)
    request.top_k = take_count(members, "topK", CONFIG)
    request.max_tokens = take_count(members, "maxOutputTokens", CONFIG)
    request.seed = _take_integer(members, "seed")
    request.presence_penalty = take_number(members, "presencePenalty", CONFIG)
    request.frequency_penalty = take_number(members, "frequencyPenalty", CONFIG)
    request.logprobs = take_flag(members, "responseLogprobs", CONFIG)
    request.top_logprobs = take_count(members, "logprobs", CONFIG)
    _read_stop(members, request)
    _read_format(members, request)
    _read_thinking(members, request)
    if rest := leftovers(members):
        request.inner["generationConfig"] = rest
        for name, default in _IDLE.items():
            if name in rest and len(memoryview(rest[name])) < 64 and msgspec.json.decode(rest[name]) == default:
                request.idle.add(f"generationConfig.{name}")


def _take_integer(members: Members, name: str) -> Raw | None:
    """A whole number of either sign. `5.0` becomes `5`."""
    raw = take_number(members, name, CONFIG)
    if raw is None:
        return None
    number = number_of(raw)
    if not number.is_integer():
        raise wrong(raw, "an integer", (CONFIG, name))
    return raw if bytes(raw).lstrip(b"-").isdigit() else Raw(b"%d" % int(number))


def _read_stop(members: Members, request: Request) -> None:
    raw = take(members, "stopSequences")
    if raw is None:
        return
    where: Where = (CONFIG, "stopSequences")
    request.stop = open_array(raw, where)
    for index, item in enumerate(request.stop):
        if not is_string(item):
            raise wrong(item, "a string", (where, index))


def _read_format(members: Members, request: Request) -> None:
    """responseSchema is of the OpenAPI subset, responseJsonSchema a JSON schema, now and then with the subset's capitals."""
    mime = take_text(members, "responseMimeType", CONFIG)
    name = next((name for name in ("responseJsonSchema", "responseSchema") if members.get(name) not in (None, Raw(b"null"))), "")
    if mime not in (None, _JSON, "text/plain") or (mime is None and not name) or (mime == "text/plain" and name):
        if mime is not None:
            members["responseMimeType"] = string_of(mime)
        return
    given: Members = {} if mime is None else {"responseMimeType": string_of(mime)}
    shape = GivenFormat(kind="json" if mime == _JSON else "text", members=given, where=(CONFIG, "responseMimeType"))
    if name:
        schema = take_object(members, name, CONFIG)
        if schema is not None:
            given[name] = schema
            shape.kind, shape.where = "json_schema", (CONFIG, name)
            shape.schema = closed(from_openapi(schema)) if name == "responseSchema" else lowered(schema)
    request.format = shape


def _read_thinking(members: Members, request: Request) -> None:
    raw = take(members, "thinkingConfig")
    if raw is None:
        return
    where: Where = (CONFIG, "thinkingConfig")
    inside = spelled(open_object(raw, where))
    reasoning = GivenReasoning(config=raw, where=where, effort_where=(where, "thinkingLevel"))
    shown = take_flag(inside, "includeThoughts", where)
    if shown is not None:
        reasoning.display = string_of("summarized" if shown else "omitted")
        reasoning.display_where = (where, "includeThoughts")
    budget = _take_budget(inside, where)
    level = (take_text(inside, "thinkingLevel", where) or "").lower()
    if level and level != "thinking_level_unspecified":
        reasoning.mode, reasoning.effort = "effort", string_of(level)
        if budget is not None:  # said twice: the newer one counts
            inside["thinkingBudget"] = Raw(b"%d" % budget)
    elif budget == 0:
        reasoning.mode = "off"
    elif budget is not None and budget > 0:
        reasoning.mode, reasoning.budget = "budget", budget
    elif budget is not None or shown:
        reasoning.mode = "adaptive"
    reasoning.private = leftovers(inside)
    request.reasoning = reasoning


def _take_budget(inside: Members, where: Where) -> int | None:
    """Tokens; 0 is off, -1 leaves it to the model."""
    raw = take_number(inside, "thinkingBudget", where)
    if raw is None:
        return None
    number = number_of(raw)
    if not number.is_integer() or number < -1:
        raise refuse((where, "thinkingBudget"), "expected a number of tokens, 0 or -1")
    return int(number)


# -- writing -----------------------------------------------------------------------------------------------------------


def write_config(out: Json, outgoing: Outgoing) -> None:
    """Sets generationConfig, unless there is nothing to say in it."""
    config: Json = {}
    _write_sampling(config, outgoing)
    _write_limit(config, outgoing)
    _write_stop(config, outgoing)
    _write_format(config, outgoing)
    _write_reasoning(config, outgoing)
    if config or (outgoing.own and "generationConfig" in outgoing.request.inner):
        out["generationConfig"] = config


def _write_sampling(config: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    for field in ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"):
        value = getattr(request, field)
        if value is None:
            continue
        if not outgoing.own and field in ("temperature", "top_p") and not outgoing.profile.samples:
            if number_of(value) != 1:
                outgoing.lose(request.path(field), f"the model takes no {field}")
        elif field == "logprobs" and not value and not outgoing.own:
            continue
        else:
            config[_FIELDS[field]] = value
            if field == "top_logprobs" and not outgoing.own:
                config["responseLogprobs"] = True  # one is refused without the other


def _write_limit(config: Json, outgoing: Outgoing) -> None:
    limit = outgoing.request.max_tokens
    if limit is None:
        return
    if not outgoing.own and number_of(limit) == 0:
        config["maxOutputTokens"] = 1
        outgoing.lose(
            outgoing.request.path("max_tokens"), "the target cannot fill its cache without an answer: asked for one token"
        )
    else:
        config["maxOutputTokens"] = limit


def _write_stop(config: Json, outgoing: Outgoing) -> None:
    stop = outgoing.request.stop
    if stop is None or (not stop and not outgoing.own):
        return
    if len(stop) > MAX_STOPS and not outgoing.own:
        for index in range(MAX_STOPS, len(stop)):
            outgoing.lose((outgoing.request.path("stop"), index), f"the target takes {MAX_STOPS} stop sequences")
        stop = stop[:MAX_STOPS]
    config["stopSequences"] = stop


def _write_format(config: Json, outgoing: Outgoing) -> None:
    shape = outgoing.request.format
    if shape is None:
        return
    if outgoing.own and isinstance(shape, GivenFormat):
        config.update(shape.members)
        return
    outgoing.private({}, shape.private, shape.where)
    outgoing.inner({}, shape.inner, shape.where)
    if shape.kind == "text" or said_in_words(outgoing):
        return
    config["responseMimeType"] = _JSON
    if shape.schema is None:
        return
    schema = _described(shape)
    if outgoing.profile.json_schemas:
        config["responseJsonSchema"] = schema
    else:
        config["responseSchema"] = to_openapi(Raw(encode(schema)), (shape.where, "schema"), outgoing.lose)


def said_in_words(outgoing: Outgoing) -> bool:
    """Whether the form of the answer is asked for in the system prompt: the model takes no schema beside functions."""
    shape = outgoing.request.format
    return (
        shape is not None
        and shape.kind != "text"
        and not outgoing.own
        and not outgoing.profile.format_with_tools
        and bool(outgoing.request.tools)
    )


def _described(shape: OutputFormat) -> Raw | Json:
    """The schema with the format's name and description in it, where it has none itself: the API has no other place for them."""
    schema = shape.schema if shape.schema is not None else Raw(b"{}")
    if shape.name is None and shape.description is None:
        return schema
    members = open_object(schema, shape.where)
    named = (("title", shape.name), ("description", shape.description))
    said = {name: value for name, value in named if value is not None and name not in members}
    return {**said, **members} if said else schema


def _write_reasoning(config: Json, outgoing: Outgoing) -> None:
    reasoning = outgoing.request.reasoning
    if outgoing.own:
        if isinstance(reasoning, GivenReasoning):
            config["thinkingConfig"] = reasoning.config
        return
    effort, setter = effort_in_force(outgoing.request)
    said = word(effort)
    where: Where = ROOT
    if setter is not None:
        where = setter.effort_where
    elif reasoning is not None:
        where = reasoning.effort_where
    if reasoning is not None:
        outgoing.private({}, reasoning.private, reasoning.where)
        if reasoning.mode == "between_tools":
            outgoing.lose((reasoning.where, "type"), "the target cannot limit thinking to the time between tool calls")
    mode = "" if reasoning is None else reasoning.mode
    if mode == "off" or said == "none":
        config["thinkingConfig"] = _off(outgoing, where if reasoning is None or mode != "off" else reasoning.where)
        return
    thinking: Json = _amount(reasoning, said, where, outgoing)
    display = None if reasoning is None or reasoning.display is None else text_of(reasoning.display)
    if mode or said or display == "summarized":
        thinking["includeThoughts"] = display != "omitted"
    if reasoning is not None and display not in (None, "summarized", "omitted"):
        outgoing.lose(reasoning.display_where, "the target shows summaries of thoughts, or nothing")
    if thinking:
        config["thinkingConfig"] = thinking


def _off(outgoing: Outgoing, where: Where) -> Json:
    """Models with levels always think, and so do some with budgets."""
    if outgoing.profile.thinking_levels:
        outgoing.lose(where, "the model always thinks: it is asked for its lowest level")
        return {"thinkingLevel": "MINIMAL"}
    if not outgoing.profile.thinking_off:
        outgoing.lose(where, "the model always thinks: it is asked for its smallest budget")
        return {"thinkingBudget": LEAST_BUDGET}
    return {"thinkingBudget": 0}


def _amount(reasoning: Reasoning | None, said: str, where: Where, outgoing: Outgoing) -> Json:
    budget = None if reasoning is None else reasoning.budget
    if outgoing.profile.thinking_levels:
        level = said or (effort_of(budget) if budget is not None else "")
        if not level:
            return {}
        if level not in _LEVELS:
            outgoing.lose(where, "as high, the target's highest level")
        return {"thinkingLevel": _LEVELS.get(level, "HIGH")}
    if budget is not None:
        return {"thinkingBudget": budget}
    if said:
        return {"thinkingBudget": budget_of(said)}
    return {"thinkingBudget": -1} if reasoning is not None and reasoning.mode else {}
