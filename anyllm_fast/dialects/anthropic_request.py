"""Requests of Anthropic Messages, both ways: bytes to neutral and back. Content, tools and cache marks are in files of their own.

Source: the request types of the official SDK (anthropic.types.MessageCreateParams and its beta twin).
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_cache import settle_marks, take_cache, write_mark
from anyllm_fast.dialects.anthropic_content import read_system, read_turns
from anyllm_fast.dialects.anthropic_thinking import read_thinking, write_thinking
from anyllm_fast.dialects.anthropic_tools import read_tool_choice, read_tools, write_tools
from anyllm_fast.dialects.anthropic_turns import Conversation, is_loose
from anyllm_fast.dialects.closed_schema import closed
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import (
    Opener,
    encode,
    is_string,
    leftovers,
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
from anyllm_fast.neutral.outgoing import Json, Outgoing, digest
from anyllm_fast.neutral.request import Members, OutputFormat, Request

NAME: Final = "anthropic"
MAX_USER: Final = 256

_OPENER: Final = Opener(
    ("messages", "tools"),
    (
        *("model", "max_tokens", "system", "stream", "thinking", "output_config", "output_format", "tool_choice", "metadata"),
        *("temperature", "top_p", "top_k", "stop_sequences", "service_tier", "cache_control", "container", "inference_geo"),
        *("speed", "diagnostics", "context_management", "mcp_servers", "compaction", "fallbacks", "fallback_credit_token"),
        *("billing_policy", "thread"),
    ),
)
_STANDARD: Final = b'"standard"'
_TIERS: Final = {'"auto"': '"auto"', '"default"': '"standard_only"', '"standard"': '"standard_only"'}


def read_request(body: bytes, losses: Losses) -> Request:
    """Raises InvalidRequest with the field's path. `max_tokens` may be missing: count_tokens has none."""
    members, lists = _OPENER.open(body)
    request = Request(model=need_text(members, "model", ROOT), source=NAME)
    messages = lists["messages"]
    if messages is None:
        raise wrong(None, "an array", (ROOT, "messages"))
    request.turns = read_turns(messages)
    system = take(members, "system")
    if system is not None:
        request.system = read_system(system)
        request.system_plain = is_string(system)
    read_tools(lists["tools"], request)
    read_tool_choice(members, request)
    _read_output_config(members, request)
    read_thinking(members, request)
    _read_metadata(members, request)
    request.max_tokens = take_count(members, "max_tokens", ROOT)
    request.temperature = take_number(members, "temperature", ROOT)
    request.top_p = take_number(members, "top_p", ROOT)
    request.top_k = take_count(members, "top_k", ROOT)
    request.stop = _read_stop(members, request)
    request.stream = take_flag(members, "stream", ROOT) or False
    request.service_tier = take_string(members, "service_tier", ROOT)
    request.cache = take_cache(members, ROOT)
    request.private = leftovers(members)
    if bytes(members.get("speed", b"")) == _STANDARD:
        request.idle = {"speed"}
    return request


def _read_stop(members: Members, request: Request) -> list[Raw] | None:
    raw = take(members, "stop_sequences")
    if raw is None:
        return None
    where: Where = (ROOT, "stop_sequences")
    request.where["stop"] = where
    stop = open_array(raw, where)
    for index, item in enumerate(stop):
        if not is_string(item):
            raise wrong(item, "a string", (where, index))
    return stop


def _read_metadata(members: Members, request: Request) -> None:
    raw = take(members, "metadata")
    if raw is None:
        return
    where: Where = (ROOT, "metadata")
    inside = open_object(raw, where)
    request.user = take_string(inside, "user_id", where)
    request.where["user"] = (where, "user_id")
    rest = leftovers(inside)
    if rest:
        request.inner["metadata"] = rest


def _read_output_config(members: Members, request: Request) -> None:
    """`effort` is left in place for read_thinking; `output_format` is what `format` was called before."""
    where: Where = (ROOT, "output_config")
    raw = take_object(members, "output_config", ROOT)
    inside = {} if raw is None else open_object(raw, where)
    said, place = take(inside, "format"), (where, "format")
    if said is None:
        said, place = take(members, "output_format"), (ROOT, "output_format")
    if said is not None:
        shape = open_object(said, place)
        kind = need_text(shape, "type", place)
        if kind == "json_schema":
            schema = take_object(shape, "schema", place)
            if schema is None:
                raise wrong(None, "an object", (place, "schema"))
            request.format = OutputFormat(kind="json_schema", schema=schema, where=place, private=leftovers(shape))
        else:
            inside["format"] = said
    rest = leftovers(inside)
    if rest:
        request.inner["output_config"] = rest


def write_request(request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
    """Raises InvalidRequest for content that the API has no words for, or a conversation that it refuses in any order."""
    outgoing = Outgoing(request, NAME, profile, losses)
    out: Json = {"model": model, "max_tokens": _max_tokens(outgoing)}
    if request.stream:
        out["stream"] = True
    write_tools(out, outgoing)
    write_thinking(out, outgoing)
    _write_format(out, outgoing)
    _write_sampling(out, outgoing)
    _write_stop(out, outgoing)
    _write_user(out, outgoing)
    _write_tier(out, outgoing)
    _announce(outgoing)
    write_mark(out, request.cache, outgoing)
    outgoing.top_level(out)
    Conversation(outgoing).write(out)
    settle_marks(outgoing)
    if out["max_tokens"] is None:
        del out["max_tokens"]
    return encode(out)


def _max_tokens(outgoing: Outgoing) -> Raw | int | None:
    """Where the client said none, the API still wants a limit. (Its own count_tokens does not.)"""
    if outgoing.request.max_tokens is not None or outgoing.own:
        return outgoing.request.max_tokens
    return outgoing.profile.default_max_tokens


def _write_format(out: Json, outgoing: Outgoing) -> None:
    shape = outgoing.request.format
    if shape is None or shape.kind == "text":
        return
    if is_loose(shape):
        outgoing.lose(shape.where, "the target has no JSON mode without a schema: it is only asked for JSON")
        return
    said: Json = {"type": "json_schema", "schema": shape.schema if outgoing.own else _described(shape)}
    outgoing.private(said, shape.private, shape.where)
    outgoing.inner(said, shape.inner, shape.where)
    out.setdefault("output_config", {})["format"] = said


def _described(shape: OutputFormat) -> Raw | Json:
    """The schema with the format's name and description in it, where it has none itself: the API has no other place for them."""
    schema = closed(shape.schema) if shape.schema is not None else Raw(b"{}")
    members = open_object(schema, shape.where)
    said = {
        name: value
        for name, value in (("title", shape.name), ("description", shape.description))
        if value is not None and name not in members
    }
    return {**said, **members} if said else schema


def _write_sampling(out: Json, outgoing: Outgoing) -> None:
    """temperature (0 to 1), top_p, top_k. Newer models take none of them or only one; thinking models only their defaults."""
    request, profile = outgoing.request, outgoing.profile
    if outgoing.own:
        for name, raw in (("temperature", request.temperature), ("top_p", request.top_p), ("top_k", request.top_k)):
            if raw is not None:
                out[name] = raw
        return
    thinks = out.get("thinking", {}).get("type") not in (None, "disabled")
    temperature = None if request.temperature is None else number_of(request.temperature)
    if temperature is not None and temperature != 1:
        where = request.path("temperature")
        if not profile.samples or thinks:
            outgoing.lose(where, "the model takes no temperature" if not profile.samples else "not taken while the model thinks")
        elif temperature > 1:
            out["temperature"] = 1
            outgoing.lose(where, "clamped to 1, the target's highest")
        else:
            out["temperature"] = request.temperature
    top_p = None if request.top_p is None else number_of(request.top_p)
    if top_p is not None and top_p != 1:
        where = request.path("top_p")
        if not profile.samples:
            outgoing.lose(where, "the model takes no top_p")
        elif thinks and top_p < 0.95:
            outgoing.lose(where, "not taken while the model thinks")
        elif "temperature" in out and not profile.temperature_with_top_p:
            outgoing.lose(where, "the model takes only one of temperature and top_p")
        else:
            out["top_p"] = request.top_p
    if request.top_k is not None:
        if profile.samples and not thinks:
            out["top_k"] = request.top_k
        else:
            outgoing.lose(request.path("top_k"), "not taken by the model")


def _write_stop(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    if request.stop is None:
        return
    kept = request.stop
    if not outgoing.own:
        kept = [stop for stop in request.stop if text_of(stop).strip()]
        if len(kept) < len(request.stop):
            outgoing.lose(request.path("stop"), "the target takes no stop sequence of white space alone")
    if kept or outgoing.own:
        out["stop_sequences"] = kept


def _write_user(out: Json, outgoing: Outgoing) -> None:
    """An opaque id passes; one that the API refuses (too long, like a mail address or a telephone number) goes as its hash."""
    user = outgoing.request.user
    if user is None:
        return
    if not outgoing.own:
        text = text_of(user)
        if len(text) > MAX_USER or "@" in text or _is_telephone(text):
            user = string_of(digest(text))
    out["metadata"] = {"user_id": user}


def _is_telephone(text: str) -> bool:
    return text.startswith("+") and sum(letter.isdigit() for letter in text) >= 7 and not any(map(str.isalpha, text))


_SILENT: Final[dict[str, tuple[bytes, ...]]] = {
    "seed": (),
    "presence_penalty": (b"0",),
    "frequency_penalty": (b"0",),
    "logprobs": (b"false",),
    "top_logprobs": (b"0",),
    "verbosity": (b'"medium"',),
    "metadata": (b"{}",),
    "store": (b"false",),
    "cache_key": (),
    "cache_retention": (),
}
"""What the API has no words for, and the values that say no more than nothing would: to leave those out loses nothing."""


def _announce(outgoing: Outgoing) -> None:
    request = outgoing.request
    for field, silent in _SILENT.items():
        value = getattr(request, field)
        if value is None:
            continue
        said = bytes(value).translate(None, b" \t\r\n") if isinstance(value, Raw) else b"true" if value else b"false"
        if said not in silent and not (b"0" in silent and number_of(value) == 0):
            outgoing.lose(request.path(field))


def _write_tier(out: Json, outgoing: Outgoing) -> None:
    tier = outgoing.request.service_tier
    if tier is None:
        return
    word = bytes(tier).decode()
    if outgoing.own:
        out["service_tier"] = tier
    elif word in _TIERS:
        out["service_tier"] = Raw(_TIERS[word].encode())
    else:
        outgoing.lose(outgoing.request.path("service_tier"))
