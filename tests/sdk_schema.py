"""The request, reply and stream schemas of the vendors, walked out of the types of their installed SDKs. Knows no gateway.

A schema is a tree of types: objects with members, arrays, unions, plain values. A member is known by its key, the name of its
type and its own (`TextBlock.citations`), the same wherever the type occurs; `Beta` before and `Param` behind a type's name are
left out, so that the stable and the beta API, and what is sent and what comes back, have the same names.
"""

from __future__ import annotations

import collections.abc
import datetime
import os
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import pydantic
import typing_extensions
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types import message_create_params as anthropic_params
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.beta import message_create_params as anthropic_beta_params
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat import completion_create_params as openai_params

from tests import schema_bedrock, schema_gemini, schema_openai_responses

What = Literal["request", "reply", "stream"]

SCHEMAS: dict[tuple[str, What], tuple[Any, ...]] = {
    ("anthropic", "request"): (
        anthropic_params.MessageCreateParamsNonStreaming,
        anthropic_beta_params.MessageCreateParamsNonStreaming,
        anthropic_params.MessageCreateParamsStreaming,
    ),
    ("anthropic", "reply"): (Message, BetaMessage),
    ("anthropic", "stream"): (RawMessageStreamEvent, BetaRawMessageStreamEvent),
    ("openai_chat", "request"): (
        openai_params.CompletionCreateParamsNonStreaming,
        openai_params.CompletionCreateParamsStreaming,
    ),
    ("openai_chat", "reply"): (ChatCompletion,),
    ("openai_chat", "stream"): (ChatCompletionChunk,),
    **schema_openai_responses.SCHEMAS,
    **schema_gemini.SCHEMAS,
    **schema_bedrock.SCHEMAS,
}
NOT_IN_THE_BODY = {"betas", "workspace_id", "user_profile_id", "extra_headers", "extra_query", "extra_body", "timeout"}
"""Parameters of the SDK's method that become headers, or nothing of the API's."""


class Object(typing.NamedTuple):
    name: str
    hint: Any
    members: dict[str, Member]


class Member(typing.NamedTuple):
    key: str
    hint: Any
    required: bool


_WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired, typing_extensions.Required, typing_extensions.NotRequired)


_NO_JSON = (typing.IO, os.PathLike)  # what the SDK takes in a value's place and encodes itself


def bare(hint: Any) -> Any:
    while True:
        if isinstance(hint, typing_extensions.TypeAliasType):
            hint = hint.__value__
        elif typing.get_origin(hint) in _WRAPPERS:
            hint = typing.get_args(hint)[0]
        else:
            return hint


def options(hint: Any) -> list[Any]:
    """The alternatives of a union, flattened, without null; the type itself if it is none."""
    hint = bare(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(hint) for option in options(part)]
    return [] if hint in (None, types.NoneType) or typing.get_origin(hint) in _NO_JSON or hint in _NO_JSON else [hint]


def is_object(hint: Any) -> bool:
    hint = bare(hint)
    if not isinstance(hint, type):
        return False
    return typing_extensions.is_typeddict(hint) or issubclass(hint, pydantic.BaseModel)


def item_of(hint: Any) -> Any | None:
    """The type of an array's items; None if it is no array."""
    hint = bare(hint)
    origin = typing.get_origin(hint)
    if origin in (list, tuple, collections.abc.Iterable, collections.abc.Sequence) or (
        getattr(origin, "__name__", "") == "SequenceNotStr"
    ):
        return typing.get_args(hint)[0]
    return None


@cache
def type_name(hint: Any) -> str:
    name: str = hint.__name__
    for prefix in ("ChatCompletion", "Beta"):
        name = name.removeprefix(prefix) or name
    name = name.removesuffix("Param") or name
    if name.startswith(("MessageCreateParams", "CompletionCreateParams")):
        return "Request"
    module = hint.__module__.rpartition(".")[2].removesuffix("_param").removeprefix("beta_").removeprefix("chat_completion_")
    plain = "".join(part.capitalize() for part in module.split("_"))
    # Types that the SDK declares inside another's file (ImageURL, Delta, Function) have names that only that file makes clear.
    if plain.lower() == name.lower() or not _nested(hint):
        return name
    return f"{'Request' if plain == 'CompletionCreateParams' else plain}.{name}"


def _nested(hint: Any) -> bool:
    import importlib

    module = importlib.import_module(hint.__module__)
    listed = getattr(module, "__all__", [hint.__name__])
    return bool(listed) and listed[0] != hint.__name__


@cache
def object_of(hint: Any) -> Object:
    hint = bare(hint)
    name = type_name(hint)
    members: dict[str, Member] = {}
    if typing_extensions.is_typeddict(hint):
        for member, inner in typing_extensions.get_type_hints(hint, include_extras=True).items():
            if not (name == "Request" and member in NOT_IN_THE_BODY):
                members[member] = Member(f"{name}.{member}", inner, _required(member, inner, hint))
    else:
        for member, field in hint.model_fields.items():
            members[field.alias or member] = Member(f"{name}.{field.alias or member}", field.annotation, field.is_required())
    return Object(name, hint, members)


def _required(name: str, inner: Any, hint: Any) -> bool:
    """The annotations are strings in the SDK's source, so __required_keys__ does not know of Required in them."""
    origin = typing.get_origin(inner)
    if origin in (typing.Required, typing_extensions.Required):
        return True
    return name in hint.__required_keys__ and origin not in (typing.NotRequired, typing_extensions.NotRequired)


def objects(hint: Any) -> list[Any]:
    """Every object type among the alternatives of `hint` and the items of its arrays."""
    found = []
    for option in options(hint):
        if is_object(option):
            found.append(option)
        elif (item := item_of(option)) is not None:
            found += objects(item)
    return found


def tag_of(hint: Any) -> tuple[str, str] | None:
    """(member, value) by which a union tells this object: `type`, else `role`, where the schema pins it to one word."""
    for name in ("type", "role"):
        member = object_of(hint).members.get(name)
        if member is not None:
            literal = [option for option in options(member.hint) if typing.get_origin(option) is Literal]
            if literal and len(typing.get_args(literal[0])) == 1:
                return name, typing.get_args(literal[0])[0]
    return None


def all_objects(roots: tuple[Any, ...]) -> Iterator[Object]:
    """Every object type that can be reached, each once by name and type."""
    seen: set[Any] = set()
    waiting = [found for root in roots for found in objects(root)]
    while waiting:
        hint = bare(waiting.pop(0))
        if hint in seen:
            continue
        seen.add(hint)
        found = object_of(hint)
        yield found
        for member in found.members.values():
            waiting += objects(member.hint)


PLAIN = (str, int, float, bool, datetime.datetime)
