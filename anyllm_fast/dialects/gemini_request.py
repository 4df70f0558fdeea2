"""Requests of Gemini generateContent, both ways: bytes to neutral and back. Contents, tools and generationConfig are in files of
their own.

The model is in the path and streaming in the method's name, so neither is read or written here.
Source: google.genai.types, and what its converters put on the wire for the Developer API and for Vertex.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.gemini_config import read_config, write_config
from anyllm_fast.dialects.gemini_contents import held_by_google, read_system, read_turns
from anyllm_fast.dialects.gemini_spelling import open_message, spelled
from anyllm_fast.dialects.gemini_tools import read_tool_config, read_tools, write_tools
from anyllm_fast.dialects.gemini_turns import Conversation
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import (
    NULL,
    Opener,
    encode,
    leftovers,
    open_objects,
    string_of,
    take,
    take_flag,
    take_object,
    take_string,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, Request

NAME: Final = "gemini"

_OPENER: Final = Opener(
    ("contents", "tools"),
    ("systemInstruction", "generationConfig", "toolConfig", "safetySettings", "cachedContent", "labels", "serviceTier", "store"),
)
_WRAPPER: Final = "generateContentRequest"
_TIERS_READ: Final = {"standard": "default", "flex": "flex", "priority": "priority"}
_TIERS_WRITTEN: Final = {"default": "standard", "standard_only": "standard", "flex": "flex", "priority": "priority"}


def read_request(body: bytes, losses: Losses) -> Request:
    """Raises InvalidRequest with the field's path. The request of a token count may be wrapped in generateContentRequest."""
    members, lists = _OPENER.open(body)
    members = spelled(members)
    contents, tools, root = lists["contents"], lists["tools"], ROOT
    if contents is None and members.get(_WRAPPER, NULL) != NULL:
        root = (ROOT, _WRAPPER)
        members = open_message(members[_WRAPPER], root)
        contents, tools = _take_list(members, "contents", root), _take_list(members, "tools", root)
    if contents is None:
        raise wrong(None, "an array", (root, "contents"))
    request = Request(model="", source=NAME)
    request.turns = read_turns(contents, (root, "contents"), losses)
    members.pop("model", None)
    if (system := take(members, "systemInstruction")) is not None:
        read_system(system, request)
    if (config := take_object(members, "generationConfig", ROOT)) is not None:
        read_config(config, request)
    read_tools(tools, request)
    read_tool_config(members, request)
    _read_rest(members, request)
    request.private = leftovers(members)
    if bytes(request.private.get("safetySettings", b"")) == b"[]":
        request.idle.add("safetySettings")
    return request


def _take_list(members: Members, name: str, where: Where) -> list[Members] | None:
    raw = take(members, name)
    return None if raw is None else open_objects(raw, (where, name))


def _read_rest(members: Members, request: Request) -> None:
    held = take_string(members, "cachedContent", ROOT)
    if held is not None:
        request.turns.insert(0, held_by_google(held, (ROOT, "cachedContent")))
    request.metadata = take_object(members, "labels", ROOT)
    request.where["metadata"] = (ROOT, "labels")
    store = take_flag(members, "store", ROOT)
    request.store = None if store is None else Raw(encode(store))
    tier = take_string(members, "serviceTier", ROOT)
    if tier is not None:
        known = _TIERS_READ.get(text_of(tier).lower())
        request.service_tier = tier if known is None else string_of(known)
        request.where["service_tier"] = (ROOT, "serviceTier")


def write_request(request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
    """Raises InvalidRequest for content that the API has no words for. `model` goes into the path, which is not written here."""
    outgoing = Outgoing(request, NAME, profile, losses)
    out: Json = {}
    write_config(out, outgoing)
    write_tools(out, outgoing)
    _write_rest(out, outgoing)
    outgoing.top_level(out)
    Conversation(outgoing).write(out)
    return encode(out)


def _write_rest(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    if request.metadata is not None:
        if outgoing.own or outgoing.profile.labels:
            out["labels"] = request.metadata
        elif bytes(request.metadata) != b"{}":
            outgoing.lose(request.path("metadata"), "the target keeps no labels with a call")
    if request.store is not None and (outgoing.own or not outgoing.profile.labels):
        out["store"] = request.store
    elif request.store is not None and bytes(request.store) != b"false":
        outgoing.lose(request.path("store"))
    _write_tier(out, outgoing)
    if outgoing.own:
        return
    if request.user is not None:
        outgoing.lose(request.path("user"), "the target is not told who asks")
    if request.cache is not None:
        outgoing.lose(request.cache.where, "the target caches prompts unasked")
        outgoing.private({}, request.cache.private, request.cache.where)
    for field in ("cache_key", "cache_retention", "verbosity"):
        value = getattr(request, field)
        if value is not None and not (field == "verbosity" and text_of(value) == "medium"):
            outgoing.lose(request.path(field))


def _write_tier(out: Json, outgoing: Outgoing) -> None:
    tier = outgoing.request.service_tier
    if tier is None:
        return
    word = text_of(tier)
    if word in _TIERS_WRITTEN:
        out["serviceTier"] = _TIERS_WRITTEN[word]
    elif outgoing.own:
        out["serviceTier"] = tier
    elif word != "auto":
        outgoing.lose(outgoing.request.path("service_tier"))
