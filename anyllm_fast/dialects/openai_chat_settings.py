"""Settings of OpenAI Chat Completions that only some dialects share, both ways: penalties, logprobs, what the service keeps.

Source: the request types of the official SDK (openai.types.chat.CompletionCreateParams).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    encode,
    number_of,
    open_object,
    take_count,
    take_flag,
    take_number,
    take_object,
    take_string,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import Members, Request

_Taker = Callable[[Members, str, Where], Raw | None]

_FIELDS: Final[tuple[tuple[str, str, _Taker], ...]] = (
    ("seed", "seed", take_number),
    ("presence_penalty", "presence_penalty", take_number),
    ("frequency_penalty", "frequency_penalty", take_number),
    ("top_logprobs", "top_logprobs", take_count),
    ("verbosity", "verbosity", take_string),
    ("metadata", "metadata", take_object),
    ("cache_key", "prompt_cache_key", take_string),
    ("cache_retention", "prompt_cache_retention", take_string),
)
_TRUE: Final = Raw(b"true")


def read_settings(members: Members, request: Request) -> None:
    for field, name, taker in _FIELDS:
        if name in members:
            setattr(request, field, taker(members, name, ROOT))
            if name != field:
                request.where[field] = (ROOT, name)
    request.logprobs = take_flag(members, "logprobs", ROOT)
    store = take_flag(members, "store", ROOT)
    request.store = None if store is None else Raw(encode(store))


def write_settings(out: Json, outgoing: Outgoing) -> None:
    """Values that say no more than the API's defaults are left out, unless they came in this dialect."""
    request = outgoing.request
    if outgoing.own:
        for field, name, _ in _FIELDS:
            if (raw := getattr(request, field)) is not None:
                out[name] = raw
        if request.logprobs is not None:
            out["logprobs"] = request.logprobs
        if request.store is not None:
            out["store"] = request.store
        return
    if request.seed is not None:
        out["seed"] = request.seed
    for name, penalty in (("presence_penalty", request.presence_penalty), ("frequency_penalty", request.frequency_penalty)):
        if penalty is not None and number_of(penalty) != 0:
            _write_sampled(out, name, penalty, outgoing)
    _write_logprobs(out, outgoing)
    if request.verbosity is not None:
        out["verbosity"] = request.verbosity
    _write_stored(out, outgoing)
    if request.cache_key is not None:
        out["prompt_cache_key"] = request.cache_key
    if request.cache_retention is not None:
        out["prompt_cache_retention"] = request.cache_retention


def _write_sampled(out: Json, name: str, value: Raw | bool, outgoing: Outgoing) -> None:
    """Models that take no temperature take none of its kin either (OpenAI's guide to reasoning models)."""
    if outgoing.profile.samples:
        out[name] = value
    else:
        outgoing.lose(outgoing.request.path(name), f"the model takes no {name}")


def _write_logprobs(out: Json, outgoing: Outgoing) -> None:
    """A count of alternatives asks for logprobs too: the API refuses it without."""
    request = outgoing.request
    counted = request.top_logprobs is not None and number_of(request.top_logprobs) != 0 and request.logprobs is not False
    if request.logprobs or counted:
        _write_sampled(out, "logprobs", True, outgoing)
    if counted and request.top_logprobs is not None:
        _write_sampled(out, "top_logprobs", request.top_logprobs, outgoing)


def _write_stored(out: Json, outgoing: Outgoing) -> None:
    """The API refuses metadata of a completion that it is not to keep."""
    request = outgoing.request
    stored = request.store == _TRUE
    if stored:
        out["store"] = _TRUE
    if request.metadata is None or not open_object(request.metadata, request.path("metadata")):
        return
    if stored:
        out["metadata"] = request.metadata
    else:
        outgoing.lose(request.path("metadata"), "the target takes metadata only of completions that it is to store")
