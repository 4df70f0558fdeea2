"""Requests of OpenAI Responses, both ways: bytes to neutral and back. Items and tools are in files of their own.

    read    openai_responses_items.py (with _parts, _plain, _names)   openai_responses_tools.py
    write   openai_responses_turns.py (with _media)                   openai_responses_tools_out.py
            openai_responses_own.py: back to the dialect that it came in

Source: the request types of the official SDK (openai.types.responses.ResponseCreateParams).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.openai_responses_items import INPUT, NAME, read_turns
from anyllm_fast.dialects.openai_responses_own import write_input, write_own_tools
from anyllm_fast.dialects.openai_responses_settings import read_settings, write_own_settings, write_settings
from anyllm_fast.dialects.openai_responses_tools import read_tool_choice, read_tools
from anyllm_fast.dialects.openai_responses_tools_out import write_tools
from anyllm_fast.dialects.openai_responses_turns import Conversation
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import ROOT, Losses
from anyllm_fast.neutral.members import (
    Opener,
    encode,
    is_string,
    leftovers,
    need_text,
    open_objects,
    take,
    take_string,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, Reasoning, Request, Text

_DEFAULTS: Final[dict[str, Any]] = {
    "background": False,
    "background_options": {},
    "client_metadata": {},
    "context_management": [],
    "prompt_cache_options": {},
    "truncation": "disabled",
}
"""Documented defaults of members that other dialects do not know: to leave one out that says no more loses nothing."""
_OURS: Final = {"reasoning.encrypted_content", "message.output_text.logprobs"}
"""What `include` may ask for that others are asked for in another way, or unasked."""

_OPENER: Final = Opener(
    ("tools",),
    (
        *("model", "input", "instructions", "stream", "stream_options", "store", "include", "tool_choice", "parallel_tool_calls"),
        *("reasoning", "text", "max_output_tokens", "temperature", "top_p", "top_logprobs", "metadata", "user", "service_tier"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier", "truncation", "background"),
        *("previous_response_id", "conversation", "max_tool_calls", "client_metadata", "prompt", "context_management"),
    ),
)


class ItemRequest(Request, kw_only=True):
    """A request that was read from items. `kept`: by path, what its own dialect gets back as it was."""

    kept: dict[str, Raw] = msgspec.field(default_factory=dict)


def read_request(body: bytes, losses: Losses) -> Request:
    """Raises InvalidRequest with the field's path."""
    members, lists = _OPENER.open(body)
    request = ItemRequest(model=need_text(members, "model", ROOT), source=NAME)
    text, items = _open_input(members)
    read_tools(lists["tools"], items or [], request, request.kept, losses)
    read_tool_choice(members, request, request.kept)
    request.turns = read_turns(text, items, request.forms)
    _read_instructions(members, request)
    read_settings(members, request)
    if request.reasoning is None and any(turn.effort is not None for turn in request.turns):
        request.reasoning = Reasoning(where=(ROOT, "reasoning"), effort_where=((ROOT, "reasoning"), "effort"))
    request.private = leftovers(members)
    request.idle |= {name for name, raw in request.private.items() if name in _DEFAULTS and _is(raw, _DEFAULTS[name])}
    if "include" in request.private and _is_ours(request.private["include"]):
        request.idle.add("include")
    return request


def _open_input(members: Members) -> tuple[Raw | None, list[Members] | None]:
    raw = take(members, "input")
    if raw is None:
        return None, None
    if is_string(raw):
        return raw, None
    if memoryview(raw)[0] != 0x5B:
        raise wrong(raw, "a string or an array", INPUT)
    return None, open_objects(raw, INPUT)


def _read_instructions(members: Members, request: Request) -> None:
    where = (ROOT, "instructions")
    text = take_string(members, "instructions", ROOT)
    if text is not None:
        request.system, request.system_plain = [Text(text=text, where=where)], True
        request.where["system"] = where


def _is(raw: Raw, default: Any) -> bool:
    return len(memoryview(raw)) < 64 and msgspec.json.decode(raw) == default


def _is_ours(raw: Raw) -> bool:
    said = msgspec.json.decode(raw)
    return isinstance(said, list) and all(isinstance(one, str) and one in _OURS for one in said)


def write_request(request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
    """Raises InvalidRequest for content that the API has no words for, or a conversation that it refuses in any order."""
    outgoing = Outgoing(request, NAME, profile, losses)
    out: Json = {"model": model}
    if outgoing.own:
        _write_own(out, outgoing)
        return encode(out)
    write_settings(out, outgoing)
    write_tools(out, outgoing)
    outgoing.top_level(out)
    Conversation(outgoing).write(out)  # last: a longer conversation only adds to the end of the body
    return encode(out)


def _write_own(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    kept = request.kept if isinstance(request, ItemRequest) else {}
    if request.system:
        out["instructions"] = request.system[0].text
    write_own_settings(out, request)
    tools = write_own_tools(request, kept)
    if tools is not None:
        out["tools"] = tools
    choice = request.tool_choice
    if choice is not None:
        out["tool_choice"] = kept.get("tool_choice", choice.mode)
    if request.parallel_tools is not None:
        out["parallel_tool_calls"] = request.parallel_tools
    outgoing.top_level(out)
    if request.turns or not {"prompt", "previous_response_id", "conversation"}.intersection(request.private):
        out["input"] = write_input(request)
