"""What an OpenAI Responses request says beside its conversation and its tools, both ways: limits, sampling, reasoning, format."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.openai_strict import fits_strict
from anyllm_fast.neutral.effort import effort_in_force, effort_of, word
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    leftovers,
    need,
    need_string,
    need_text,
    number_of,
    open_array,
    open_object,
    string_of,
    take,
    take_count,
    take_flag,
    take_number,
    take_object,
    take_string,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing, short
from anyllm_fast.neutral.request import Members, OutputFormat, Reasoning, Request

MAX_USER: Final = 64

_LOGPROBS: Final = "message.output_text.logprobs"
_ENCRYPTED: Final = "reasoning.encrypted_content"
_TIERS: Final = {"auto": "auto", "standard_only": "default", "default": "default", "flex": "flex", "priority": "priority"}
_TIERS_OF_CHAT: Final = ("scale", "fast", "ultrafast")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_FALSE: Final = Raw(b"false")


# -- reading -----------------------------------------------------------------------------------------------------------


def read_settings(members: Members, request: Request) -> None:
    """`include` is left among the members: it is written back as it was."""
    request.stream = take_flag(members, "stream", ROOT) or False
    request.max_tokens = take_count(members, "max_output_tokens", ROOT)
    request.where["max_tokens"] = (ROOT, "max_output_tokens")
    request.temperature = take_number(members, "temperature", ROOT)
    request.top_p = take_number(members, "top_p", ROOT)
    request.top_logprobs = take_count(members, "top_logprobs", ROOT)
    request.service_tier = take_string(members, "service_tier", ROOT)
    request.metadata = take_object(members, "metadata", ROOT)
    request.cache_key = take_string(members, "prompt_cache_key", ROOT)
    request.where["cache_key"] = (ROOT, "prompt_cache_key")
    request.cache_retention = take_string(members, "prompt_cache_retention", ROOT)
    request.where["cache_retention"] = (ROOT, "prompt_cache_retention")
    store = take_flag(members, "store", ROOT)
    request.store = None if store is None else Raw(encode(store))
    _read_user(members, request)
    _read_reasoning(members, request)
    _read_text(members, request)
    _read_include(members, request)
    _read_stream_options(members, request)


def _read_user(members: Members, request: Request) -> None:
    """safety_identifier is the newer name of user, and counts where both are given."""
    name = "safety_identifier"
    request.user = take_string(members, name, ROOT)
    if request.user is None:
        name = "user"
        request.user = take_string(members, name, ROOT)
    request.where["user"] = (ROOT, name)


def _read_reasoning(members: Members, request: Request) -> None:
    raw = take(members, "reasoning")
    if raw is None:
        return
    where: Where = (ROOT, "reasoning")
    inside = open_object(raw, where)
    effort = take_string(inside, "effort", where)
    reasoning = Reasoning(effort=effort, where=where, effort_where=(where, "effort"))
    if effort is not None:
        reasoning.mode = "off" if text_of(effort) == "none" else "effort"
    summary = take_string(inside, "summary", where)
    if summary is not None:
        reasoning.display, reasoning.display_where = string_of("summarized"), (where, "summary")
        if text_of(summary) != "auto":
            inside["summary"] = summary  # how long it is to be, others cannot be told
    reasoning.private = leftovers(inside)
    if effort is not None or summary is not None or reasoning.private:
        request.reasoning = reasoning


def _read_text(members: Members, request: Request) -> None:
    raw = take(members, "text")
    if raw is None:
        return
    where: Where = (ROOT, "text")
    inside = open_object(raw, where)
    request.verbosity = take_string(inside, "verbosity", where)
    request.where["verbosity"] = (where, "verbosity")
    shape = take_object(inside, "format", where)
    if shape is not None:
        _read_format(shape, (where, "format"), inside, request)
    if rest := leftovers(inside):
        request.inner["text"] = rest


def _read_format(raw: Raw, where: Where, text: Members, request: Request) -> None:
    inside = open_object(raw, where)
    kind = need_text(inside, "type", where)
    if kind == "json_schema":
        shape = OutputFormat(kind="json_schema", name=need_string(inside, "name", where), where=where)
        shape.description = take_string(inside, "description", where)
        shape.schema = need(inside, "schema", "an object", where)
        if memoryview(shape.schema)[0] != 0x7B:
            raise wrong(shape.schema, "an object", (where, "schema"))
        strict = take_flag(inside, "strict", where)
        shape.strict = None if strict is None else Raw(encode(strict))
    elif kind in ("text", "json_object"):
        shape = OutputFormat(kind="text" if kind == "text" else "json", where=where)
    else:
        text["format"] = raw
        return
    shape.private = leftovers(inside)
    request.format = shape


def _read_include(members: Members, request: Request) -> None:
    raw = members.get("include")
    if raw is None or bytes(raw) == b"null":
        return
    where: Where = (ROOT, "include")
    said = open_array(raw, where)
    if any(is_string(one) and text_of(one) == _LOGPROBS for one in said):
        request.logprobs = True
        request.where["logprobs"] = where


def _read_stream_options(members: Members, request: Request) -> None:
    """Our own stream carries no padding; that it does not is no loss, whatever was asked for."""
    raw = take(members, "stream_options")
    if raw is None:
        return
    if rest := leftovers(open_object(raw, (ROOT, "stream_options"))):
        request.inner["stream_options"] = rest
        request.idle.add("stream_options.include_obfuscation")


# -- writing -----------------------------------------------------------------------------------------------------------


def write_own_settings(out: Json, request: Request) -> None:
    if request.stream:
        out["stream"] = True
    for name, raw in (
        ("max_output_tokens", request.max_tokens),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("top_logprobs", request.top_logprobs),
        ("service_tier", request.service_tier),
        ("metadata", request.metadata),
        ("prompt_cache_key", request.cache_key),
        ("prompt_cache_retention", request.cache_retention),
        ("store", request.store),
        (str(where[1]) if (where := request.path("user")) else "user", request.user),
    ):
        if raw is not None:
            out[name] = raw
    reasoning = request.reasoning
    if reasoning is not None:
        effort = {} if reasoning.effort is None else {"effort": reasoning.effort}
        shown = {} if reasoning.display is None else {"summary": "auto"}
        if effort or shown or reasoning.private:
            out["reasoning"] = {**effort, **shown, **reasoning.private}
    text: Json = {} if request.verbosity is None else {"verbosity": request.verbosity}
    if request.format is not None:
        text["format"] = _own_format(request.format)
    if text:
        out["text"] = text


def _own_format(shape: OutputFormat) -> Json:
    said: Json = {"type": {"text": "text", "json": "json_object", "json_schema": "json_schema"}[shape.kind]}
    for name, raw in (
        ("name", shape.name),
        ("description", shape.description),
        ("schema", shape.schema),
        ("strict", shape.strict),
    ):
        if raw is not None:
            said[name] = raw
    return {**said, **shape.private}


def write_settings(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    if request.stream:
        out["stream"] = True
    _write_store(out, outgoing)
    _write_limit(out, outgoing)
    _write_sampling(out, outgoing)
    _write_reasoning(out, outgoing)
    _write_text(out, outgoing)
    _write_logprobs(out, outgoing)
    _write_names(out, outgoing)
    _write_tier(out, outgoing)
    _write_cache(outgoing)
    _write_unknown(outgoing)


def _write_store(out: Json, outgoing: Outgoing) -> None:
    """The service keeps every reply unless it is told not to, and nobody could ask for those that it keeps of ours."""
    if outgoing.request.store is not None:
        out["store"] = outgoing.request.store
    elif outgoing.profile.stored:
        out["store"] = False


def _write_limit(out: Json, outgoing: Outgoing) -> None:
    request, least = outgoing.request, outgoing.profile.least_tokens
    if request.max_tokens is None:
        return
    if number_of(request.max_tokens) < least:
        out["max_output_tokens"] = least
        outgoing.lose(request.path("max_tokens"), f"the target takes no limit below {least} tokens")
    else:
        out["max_output_tokens"] = request.max_tokens


def _write_sampling(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    for name, raw in (("temperature", request.temperature), ("top_p", request.top_p)):
        if raw is None:
            continue
        if outgoing.profile.samples:
            out[name] = raw
        elif number_of(raw) != 1:
            outgoing.lose(request.path(name), f"the model takes no {name}")


def _write_reasoning(out: Json, outgoing: Outgoing) -> None:
    """Encrypted reasoning is asked for wherever a model may reason: without it nothing of it could be given back."""
    request, profile = outgoing.request, outgoing.profile
    reasoning = request.reasoning
    if reasoning is not None:
        outgoing.private({}, reasoning.private, reasoning.where)
    effort, setter = effort_in_force(request)
    where: Where = ROOT
    if setter is not None:
        where = setter.effort_where
    elif reasoning is not None:
        where = reasoning.effort_where
    said = _effort(outgoing, reasoning, word(effort), where)
    if said:
        out["reasoning"] = {"effort": said}
    if reasoning is not None and _shows(reasoning):
        if not profile.reasoning_effort or not profile.reasoning_summary:
            if reasoning.display is not None:
                outgoing.lose(reasoning.display_where, "the model does not show its reasoning")
        else:
            out.setdefault("reasoning", {})["summary"] = "auto"
            if reasoning.display is not None and text_of(reasoning.display) != "summarized":
                outgoing.lose(reasoning.display_where, "the target shows summaries of its reasoning, or nothing")
    if profile.reasoning_effort:
        out["include"] = [_ENCRYPTED]


def _shows(reasoning: Reasoning) -> bool:
    """Whether the client is to see what the model thinks: Anthropic's and Gemini's say so by asking for thinking at all."""
    if reasoning.display is not None:
        return text_of(reasoning.display) != "omitted"
    return reasoning.mode in ("budget", "adaptive", "between_tools")


def _effort(outgoing: Outgoing, reasoning: Reasoning | None, effort: str, where: Where) -> str:
    """Thinking modes and budgets as one word; "" where nothing is asked. Adaptive thinking without a word means high there."""
    mode = "" if reasoning is None else reasoning.mode
    profile = outgoing.profile
    if mode == "off":
        if effort and effort != "none":
            outgoing.lose(where, "the model is not to think, so there is no effort to set")
        if profile.reasoning_effort and not profile.reasoning_off and reasoning is not None:
            outgoing.lose(reasoning.where, "the model always thinks")
        return profile.reasoning_off if profile.reasoning_effort else ""
    if not mode and not effort:
        return ""
    if not profile.reasoning_effort:
        if reasoning is not None and mode:
            outgoing.lose(reasoning.where, "the model does not reason")
        if effort:
            outgoing.lose(where, "the model does not reason")
        return ""
    if reasoning is not None and mode == "between_tools":
        outgoing.lose((reasoning.where, "type"), "the target cannot limit thinking to the time between tool calls")
    budget = None if reasoning is None else reasoning.budget
    return effort or (effort_of(budget) if budget is not None else "high")


def _write_text(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    text: Json = {}
    shape = request.format
    if shape is not None and shape.kind != "text":
        text["format"] = {"type": "json_object"} if shape.kind == "json" else _schema(shape, outgoing)
        outgoing.private({}, shape.private, shape.where)
        outgoing.inner({}, shape.inner, shape.where)
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    if text:
        out["text"] = text


def _schema(shape: OutputFormat, outgoing: Outgoing) -> Json:
    out: Json = {"type": "json_schema", "name": shape.name if shape.name is not None else _title(shape)}
    if shape.description is not None:
        out["description"] = shape.description
    out["schema"] = shape.schema if shape.schema is not None else Raw(b"{}")
    if shape.strict == _FALSE:
        out["strict"] = False
    elif shape.schema is not None and fits_strict(shape.schema):
        out["strict"] = True
    else:
        outgoing.lose(shape.where, "the schema is not one that the target can enforce: sent without strict")
    return out


def _title(shape: OutputFormat) -> Raw:
    """The API wants a name; a schema may have one in its title."""
    members = {} if shape.schema is None else open_object(shape.schema, shape.where)
    title = members.get("title")
    if title is not None and is_string(title) and _NAME.fullmatch(text_of(title)):
        return title
    return string_of("output")


def _write_logprobs(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    if request.logprobs:
        out["include"] = [*out.get("include", ()), _LOGPROBS]
    if request.top_logprobs is not None and (request.logprobs or number_of(request.top_logprobs) != 0):
        out["top_logprobs"] = request.top_logprobs


def _write_names(out: Json, outgoing: Outgoing) -> None:
    """Who asks, and what the service is to keep with the call. An id that is too long goes as its hash."""
    request = outgoing.request
    if request.user is not None:
        out["user"] = short(request.user, MAX_USER)
    for name, raw in (
        ("metadata", request.metadata),
        ("prompt_cache_key", request.cache_key),
        ("prompt_cache_retention", request.cache_retention),
    ):
        if raw is not None:
            out[name] = raw


def _write_tier(out: Json, outgoing: Outgoing) -> None:
    tier = outgoing.request.service_tier
    if tier is None:
        return
    said = text_of(tier)
    if said in _TIERS:
        out["service_tier"] = _TIERS[said]
    elif said in _TIERS_OF_CHAT:
        out["service_tier"] = said
    else:
        outgoing.lose(outgoing.request.path("service_tier"))


def _write_cache(outgoing: Outgoing) -> None:
    """OpenAI caches prompts unasked; what can be lost is how long."""
    mark = outgoing.request.cache
    if mark is None:
        return
    outgoing.private({}, mark.private, mark.where)
    if not outgoing.profile.cache_breakpoints:
        outgoing.lose(mark.where, "the target has no cache marks")
    elif mark.ttl > 1800:
        outgoing.lose((mark.where, "ttl"), "the target keeps an unmarked prompt for half an hour")


def _write_unknown(outgoing: Outgoing) -> None:
    """Settings that other APIs have and this one has not."""
    request = outgoing.request
    if request.top_k is not None:
        outgoing.lose(request.path("top_k"))
    if request.stop:
        outgoing.lose(request.path("stop"), "the target has no stop sequences")
    if request.seed is not None:
        outgoing.lose(request.path("seed"))
    for name, raw in (("presence_penalty", request.presence_penalty), ("frequency_penalty", request.frequency_penalty)):
        if raw is not None and number_of(raw) != 0:
            outgoing.lose(request.path(name))
