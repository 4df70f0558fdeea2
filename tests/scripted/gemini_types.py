"""Checks a JSON value against google-genai's types as Google's JSON parser would. Knows no rule between fields.

The SDK describes two services at once: what its own converters keep from the Developer API is unknown there. A protobuf parser
takes names in either spelling, enums in any case, whole numbers as text or floats, bytes in either base64, and null for nothing.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
import types as python_types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any

from google.genai import Client, models, types
from pydantic import BaseModel

from .typed import Fault, Path

_HINTS: dict[str, Any] = {
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "responseSchema": types.Schema,
    "responseModalities": list[types.Modality],
    "speechConfig": types.SpeechConfig,
}
"""Members for which the SDK takes more than the wire does."""
_SAMPLES: dict[str, Any] = {"response_schema": {"type": "STRING"}, "tools": [types.Tool()], "system_instruction": "a"}
_BEYOND: dict[str, frozenset[str]] = {"Schema": frozenset({"additionalProperties", "defs", "ref"})}
"""Members that the SDK passes on without a check and the Developer API does not know."""
_NOT_SENT = frozenset({"httpOptions", "shouldReturnHttpResponse", "automaticFunctionCalling"})
"""Settings of the SDK itself."""

Members = dict[str, Any]


class Request:
    """Stands for the body of generateContent."""


class Config:
    """Stands for its generationConfig."""


class Count:
    """Stands for the body of countTokens."""


def fault_of(value: Any, hint: Any, path: Path = ()) -> Fault | None:
    """The first fault of `value` against `hint`, or None. The path is of snake_case names, as Google's complaints are."""
    if value is None or hint is Any:
        return None
    if members := _members(hint):
        return _message_fault(value, members, path)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, python_types.UnionType):
        faults = [fault_of(value, option, path) for option in inner if option is not type(None)]
        return None if None in faults else max((f for f in faults if f), key=lambda f: len(f.path))
    if origin is list:
        if not isinstance(value, list):
            return Fault(path, "type", "a list")
        return next((f for i, v in enumerate(value) if (f := fault_of(v, inner[0], (*path, i)))), None)
    if origin is dict:
        if not isinstance(value, dict):
            return Fault(path, "type", "an object")
        return next((f for k, v in value.items() if (f := fault_of(v, inner[1], (*path, k)))), None)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        known = {one.value.upper() for one in hint}
        return None if isinstance(value, str) and value.upper() in known else Fault(path, "value", str(value))
    return None if hint not in _PLAIN or _PLAIN[hint](value) else Fault(path, "type", _NAMES[hint])


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


def spelled(value: Any) -> Any:
    """The same in camelCase, but for what has no type: arguments, responses, JSON schemas, names of properties."""
    if isinstance(value, list):
        return [spelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {camel(key): item for key, item in value.items()}
    for key, item in out.items():
        if key == "properties" and isinstance(item, dict):
            out[key] = {name: spelled(inner) for name, inner in item.items()}
        elif key not in _OPAQUE:
            out[key] = spelled(item)
    return out


_OPAQUE = frozenset(
    {"args", "response", "parametersJsonSchema", "responseJsonSchema", "labels", "partMetadata", "default", "example"}
)


def _message_fault(value: Any, members: Members, path: Path) -> Fault | None:
    if not isinstance(value, dict):
        return Fault(path, "type", "an object")
    seen: set[str] = set()
    for key, item in value.items():
        name = camel(key)
        if name not in members:
            return Fault((*path, key), "unknown", "")
        if name in seen:
            return Fault((*path, key), "value", "the field is set twice")
        seen.add(name)
        if fault := fault_of(item, members[name], (*path, snake(name))):
            return fault
    return None


def _base64(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode(value.translate(_ALPHABET) + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


_ALPHABET = str.maketrans("-_", "+/")
_PLAIN: dict[Any, Callable[[Any], bool]] = {
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    int: lambda v: (
        (isinstance(v, int | float) and not isinstance(v, bool) and v == int(v)) or (isinstance(v, str) and v.isdigit())
    ),
    float: lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    bytes: _base64,
}
_NAMES = {str: "TYPE_STRING", bool: "TYPE_BOOL", int: "TYPE_INT32", float: "TYPE_FLOAT", bytes: "TYPE_BYTES"}


# -- the types, by machine ---------------------------------------------------------------------------------------------


@cache
def _members(hint: Any) -> Members:
    """Names on the wire and their hints; empty for what is no message."""
    if hint is Count:
        return {"contents": list[types.Content], "generateContentRequest": Request}
    if hint in (Request, Config):
        outside, inside = _config()
        return outside if hint is Request else inside
    if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
        return {}
    kept: Members = {}
    for name, field in hint.model_fields.items():
        alias = field.alias or name
        if alias not in _BEYOND.get(hint.__name__, ()) and _is_sent(hint, name, field.annotation):
            kept[alias] = _HINTS.get(alias, field.annotation)
    return kept


def _config() -> tuple[Members, Members]:
    """What of GenerateContentConfig goes into the body, and what into its generationConfig."""
    outside: Members = {"contents": list[types.Content], "model": str, "generationConfig": Config}
    inside: Members = {}
    client = Client(api_key="none")._api_client
    for name, field in types.GenerateContentConfig.model_fields.items():
        alias = field.alias or name
        if alias in _NOT_SENT:
            continue
        given = {name: _SAMPLES.get(name, _sample(field.annotation))}
        parent: dict[str, Any] = {}
        try:
            written = models._GenerateContentConfig_to_mldev(client, given, parent)
        except ValueError:  # a setting of the other service
            continue
        inside |= dict.fromkeys(written, _HINTS.get(alias, field.annotation))
        outside |= dict.fromkeys(parent, _HINTS.get(alias, field.annotation))
    outside.pop("labels", None)
    return outside, inside


def _is_sent(hint: type[BaseModel], name: str, annotation: Any) -> bool:
    convert = getattr(models, f"_{hint.__name__}_to_mldev", None)
    if convert is None:
        return True
    try:
        convert({name: _sample(annotation)}, {})
    except ValueError as refused:
        return "only supported in" not in str(refused)
    except (TypeError, AttributeError):  # a sample that its converter cannot take is of a member that it knows
        return True
    return True


def _sample(hint: Any) -> Any:
    hint = next((option for option in typing.get_args(hint) if option is not type(None)), hint)
    if typing.get_origin(hint) is list:
        return [_sample(typing.get_args(hint)[0])]
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint()
    return {str: "a", int: 1, float: 0.5, bool: True, bytes: b"a"}.get(hint, {"a": "b"})
