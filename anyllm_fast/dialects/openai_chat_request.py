"""Requests of OpenAI Chat Completions, both ways: bytes to neutral and back. Messages and tools are in files of their own.

Source: the request types of the official SDK (openai.types.chat.CompletionCreateParams). Hosts around OpenAI add top_k.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.openai_chat_messages import read_turns
from anyllm_fast.dialects.openai_chat_settings import read_settings, write_settings
from anyllm_fast.dialects.openai_chat_tools import read_tool_choice, read_tools, write_tools
from anyllm_fast.dialects.openai_chat_turns import Conversation
from anyllm_fast.dialects.openai_strict import fits_strict
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.effort import effort_in_force, effort_of, word
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import (
    Opener,
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

NAME: Final = "openai_chat"
MAX_STOPS: Final = 4
MAX_USER: Final = 64

_DEFAULTS: Final[dict[str, Any]] = {
    "n": 1,
    "logit_bias": {},
    "modalities": ["text"],
    "prompt_cache_options": {},
}
"""Documented defaults of members that other dialects do not know: to leave one out that says no more loses nothing."""

_OPENER: Final = Opener(
    ("messages", "tools"),
    (
        *("model", "stream", "stream_options", "max_completion_tokens", "max_tokens", "temperature", "top_p", "top_k", "stop"),
        *("tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format", "reasoning_effort", "user"),
        *("safety_identifier", "service_tier", "web_search_options", "n", "seed", "logprobs", "top_logprobs", "logit_bias"),
        *("frequency_penalty", "presence_penalty", "modalities", "audio", "prediction", "metadata", "store", "verbosity"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "moderation"),
    ),
)
_TIERS: Final = {b'"standard_only"': b'"default"', b'"standard"': b'"default"'} | {
    b'"%b"' % word: b'"%b"' % word for word in (b"auto", b"default", b"flex", b"scale", b"priority", b"fast")
}
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_STRICT: Final = Raw(b"true")


def read_request(body: bytes, losses: Losses) -> Request:
    """Raises InvalidRequest with the field's path."""
    members, lists = _OPENER.open(body)
    request = Request(model=need_text(members, "model", ROOT), source=NAME)
    messages = lists["messages"]
    if messages is None:
        raise wrong(None, "an array", (ROOT, "messages"))
    request.turns = read_turns(messages)
    read_tools(lists["tools"], members, request)
    read_tool_choice(members, request)
    _read_limit(members, request)
    _read_format(members, request)
    _read_effort(members, request)
    _read_user(members, request)
    _read_stream(members, request)
    request.stop = _read_stop(members)
    request.temperature = take_number(members, "temperature", ROOT)
    request.top_p = take_number(members, "top_p", ROOT)
    request.top_k = take_count(members, "top_k", ROOT)
    request.service_tier = take_string(members, "service_tier", ROOT)
    read_settings(members, request)
    request.private = leftovers(members)
    request.idle |= {name for name, raw in request.private.items() if name in _DEFAULTS and _is(raw, _DEFAULTS[name])}
    return request


def _is(raw: Raw, default: Any) -> bool:
    try:
        return len(memoryview(raw)) < 64 and bool(msgspec.json.decode(raw) == default)
    except msgspec.DecodeError:  # a number that no double can hold
        return False


def _read_limit(members: Members, request: Request) -> None:
    """max_completion_tokens counts where both are given; the older max_tokens is then left over."""
    name = "max_completion_tokens"
    request.max_tokens = take_count(members, name, ROOT)
    if request.max_tokens is None:
        name = "max_tokens"
        request.max_tokens = take_count(members, name, ROOT)
    request.where["max_tokens"] = (ROOT, name)


def _read_format(members: Members, request: Request) -> None:
    raw = take_object(members, "response_format", ROOT)
    if raw is None:
        return
    where: Where = (ROOT, "response_format")
    inside = open_object(raw, where)
    kind = need_text(inside, "type", where)
    if kind == "json_schema":
        here: Where = (where, kind)
        shape = open_object(need(inside, kind, "an object", where), here)
        request.format = OutputFormat(kind="json_schema", name=need_string(shape, "name", here), where=where)
        request.format.description = take_string(shape, "description", here)
        request.format.schema = take_object(shape, "schema", here)
        strict = take_flag(shape, "strict", here)
        request.format.strict = None if strict is None else Raw(encode(strict))
        if rest := leftovers(shape):
            request.format.inner = {kind: rest}
    elif kind in ("text", "json_object"):
        request.format = OutputFormat(kind="text" if kind == "text" else "json", where=where)
    else:
        members["response_format"] = raw
        return
    request.format.private = leftovers(inside)


def _read_effort(members: Members, request: Request) -> None:
    effort = take_string(members, "reasoning_effort", ROOT)
    if effort is not None:
        where: Where = (ROOT, "reasoning_effort")
        mode = "off" if text_of(effort) == "none" else "effort"
        request.reasoning = Reasoning(mode=mode, effort=effort, where=where, effort_where=where)  # type: ignore[arg-type]  # two of its modes


def _read_user(members: Members, request: Request) -> None:
    """safety_identifier is the newer name of user, and counts where both are given."""
    name = "safety_identifier"
    request.user = take_string(members, name, ROOT)
    if request.user is None:
        name = "user"
        request.user = take_string(members, name, ROOT)
    request.where["user"] = (ROOT, name)


def _read_stream(members: Members, request: Request) -> None:
    request.stream = take_flag(members, "stream", ROOT) or False
    raw = take(members, "stream_options")
    if raw is None:
        return
    where: Where = (ROOT, "stream_options")
    inside = open_object(raw, where)
    request.include_usage = take_flag(inside, "include_usage", where) or False
    if rest := leftovers(inside):
        request.inner["stream_options"] = rest
        if bytes(rest.get("include_obfuscation", b"")) == b"false":
            request.idle.add("stream_options.include_obfuscation")


def _read_stop(members: Members) -> list[Raw] | None:
    raw = take(members, "stop")
    if raw is None:
        return None
    where: Where = (ROOT, "stop")
    if is_string(raw):
        return [raw]
    if memoryview(raw)[0] != 0x5B:
        raise wrong(raw, "a string or an array", where)
    stop = open_array(raw, where)
    for index, item in enumerate(stop):
        if not is_string(item):
            raise wrong(item, "a string", (where, index))
    return stop


def write_request(request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
    """Raises InvalidRequest for content that the API has no words for, or a conversation that it refuses in any order."""
    outgoing = Outgoing(request, NAME, profile, losses)
    out: Json = {"model": model}
    _write_stream(out, outgoing)
    _write_limit(out, outgoing)
    _write_sampling(out, outgoing)
    _write_stop(out, outgoing)
    _write_user(out, outgoing)
    _write_tier(out, outgoing)
    write_settings(out, outgoing)
    _write_effort(out, outgoing)
    _write_format(out, outgoing)
    write_tools(out, outgoing)
    _write_cache(outgoing)
    outgoing.top_level(out)
    out["messages"] = Conversation(outgoing).write()  # last: a longer conversation only adds to the end of the body
    return encode(out)


def _write_stream(out: Json, outgoing: Outgoing) -> None:
    """Usage is always asked for, whatever the client wants to see of it: it is counted."""
    request = outgoing.request
    if request.stream:
        out["stream"] = True
        if outgoing.profile.include_stream_usage and not outgoing.own:
            out["stream_options"] = {"include_usage": True}
    if outgoing.own and request.include_usage:
        out["stream_options"] = {"include_usage": True}


def _write_limit(out: Json, outgoing: Outgoing) -> None:
    """One of the two names, never both: the API refuses the pair."""
    request = outgoing.request
    if request.max_tokens is None:
        return
    if outgoing.own:
        where = request.path("max_tokens")
        out[str(where[1]) if where else "max_tokens"] = request.max_tokens
    elif number_of(request.max_tokens) == 0:
        out[outgoing.profile.max_tokens_field] = 1
        outgoing.lose(request.path("max_tokens"), "the target cannot fill its cache without an answer: asked for one token")
    else:
        out[outgoing.profile.max_tokens_field] = request.max_tokens


def _write_sampling(out: Json, outgoing: Outgoing) -> None:
    request, profile = outgoing.request, outgoing.profile
    for name, raw in (("temperature", request.temperature), ("top_p", request.top_p)):
        if raw is None:
            continue
        if outgoing.own or profile.samples:
            out[name] = raw
        elif number_of(raw) != 1:
            outgoing.lose(request.path(name), f"the model takes no {name}")
    if request.top_k is not None:
        if outgoing.own or (profile.top_k and profile.samples):
            out["top_k"] = request.top_k
        else:
            outgoing.lose(request.path("top_k"))


def _write_stop(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    stop = request.stop
    if stop is None or (not stop and not outgoing.own):
        return
    if len(stop) > MAX_STOPS and not outgoing.own:
        where = request.path("stop")
        for index in range(MAX_STOPS, len(stop)):
            outgoing.lose((where, index), f"the target takes {MAX_STOPS} stop sequences")
        stop = stop[:MAX_STOPS]
    out["stop"] = stop[0] if len(stop) == 1 else stop


def _write_user(out: Json, outgoing: Outgoing) -> None:
    """An id that is too long goes as its hash: still the same one for the same user."""
    request = outgoing.request
    if request.user is None:
        return
    where = request.path("user")
    if outgoing.own:
        out[str(where[1]) if where else "user"] = request.user
    else:
        out["user"] = short(request.user, MAX_USER)


def _write_tier(out: Json, outgoing: Outgoing) -> None:
    tier = outgoing.request.service_tier
    if tier is None:
        return
    if outgoing.own:
        out["service_tier"] = tier
    elif (word := _TIERS.get(bytes(tier))) is not None:
        out["service_tier"] = Raw(word)
    else:
        outgoing.lose(outgoing.request.path("service_tier"))


def _write_effort(out: Json, outgoing: Outgoing) -> None:
    reasoning = outgoing.request.reasoning
    if outgoing.own:
        if reasoning is not None and reasoning.effort is not None:
            out["reasoning_effort"] = reasoning.effort
        return
    effort, setter = effort_in_force(outgoing.request)
    where: Where = ROOT
    if setter is not None:
        where = setter.effort_where
    elif reasoning is not None:
        where = reasoning.effort_where
    if reasoning is not None:
        outgoing.private({}, reasoning.private, reasoning.where)
        if reasoning.display is not None:
            outgoing.lose(reasoning.display_where)
    _say_effort(out, outgoing, reasoning, word(effort), where)


def _say_effort(out: Json, outgoing: Outgoing, reasoning: Reasoning | None, effort: str, where: Where) -> None:
    """Anthropic's thinking modes and budgets as one word. Adaptive thinking without a word means high there."""
    mode = "" if reasoning is None else reasoning.mode
    profile = outgoing.profile
    if mode == "off":
        if effort and effort != "none":
            outgoing.lose(where, "the model is not to think, so there is no effort to set")
        if profile.reasoning_effort and profile.reasoning_off:
            out["reasoning_effort"] = profile.reasoning_off
        elif profile.reasoning_effort and reasoning is not None:
            outgoing.lose(reasoning.where, "the model always thinks")
        return
    if not mode and not effort:
        return
    if not profile.reasoning_effort:
        if reasoning is not None and mode:
            outgoing.lose(reasoning.where, "the model does not reason")
        if effort:
            outgoing.lose(where, "the model does not reason")
        return
    if reasoning is not None and mode == "between_tools":
        outgoing.lose((reasoning.where, "type"), "the target cannot limit thinking to the time between tool calls")
    budget = None if reasoning is None else reasoning.budget
    out["reasoning_effort"] = effort or (effort_of(budget) if budget is not None else "high")


def _write_format(out: Json, outgoing: Outgoing) -> None:
    shape = outgoing.request.format
    if shape is None or (shape.kind == "text" and not outgoing.own):
        return
    if shape.kind != "json_schema":
        said: Json = {"type": "text" if shape.kind == "text" else "json_object"}
    else:
        said = {"type": "json_schema", "json_schema": _schema(shape, outgoing)}
    outgoing.private(said, shape.private, shape.where)
    outgoing.inner(said, shape.inner, shape.where)
    out["response_format"] = said


def _schema(shape: OutputFormat, outgoing: Outgoing) -> Json:
    out: Json = {"name": shape.name if shape.name is not None else _title(shape)}
    if shape.description is not None:
        out["description"] = shape.description
    if shape.schema is not None:
        out["schema"] = shape.schema
    if outgoing.own or shape.strict is not None:
        if shape.strict is not None:
            out["strict"] = shape.strict
    elif shape.schema is not None and fits_strict(shape.schema):
        out["strict"] = _STRICT
    else:
        outgoing.lose((shape.where, "schema"), "not one that the target can enforce: sent without strict")
    return out


def _title(shape: OutputFormat) -> Raw:
    """The API wants a name; a schema may have one in its title."""
    members = {} if shape.schema is None else open_object(shape.schema, shape.where)
    title = members.get("title")
    if title is not None and is_string(title) and _NAME.fullmatch(text_of(title)):
        return title
    return string_of("output")


def _write_cache(outgoing: Outgoing) -> None:
    """OpenAI caches prompts unasked; what can be lost is how long."""
    mark = outgoing.request.cache
    if mark is None or outgoing.own:
        return
    outgoing.private({}, mark.private, mark.where)
    if not outgoing.profile.cache_breakpoints:
        outgoing.lose(mark.where, "the target has no cache marks")
    elif mark.ttl > 1800:
        outgoing.lose((mark.where, "ttl"), "the target keeps an unmarked prompt for half an hour")
