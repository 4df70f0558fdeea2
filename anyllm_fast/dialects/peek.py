"""What every JSON body of a client is asked before anything else: is it sound, and which model does it want. No translation.

One decode that builds nothing but the members asked for: msgspec walks over all others, and while walking it refuses
malformed JSON, NaN, lone surrogates and nesting deeper than it can hold. What it does not look at is the UTF-8 of
strings that it skips, so that is checked apart.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Peek

MAX_MODEL_CHARS = 2048  # a Bedrock inference profile's ARN fits; a prompt sent as model name does not


class _Model:
    """Marks the member `model` for the hook."""


class _Stream:
    """Marks the member `stream` for the hook."""


class _StreamOptions:
    """Marks the member `stream_options` for the hook."""


class _Body(msgspec.Struct):
    """Members go through the hook because it is called once per occurrence: a Struct alone would keep the last in silence."""

    model: _Model | None = None
    stream: _Stream | None = None
    stream_options: _StreamOptions | None = None


def peek_body(body: bytes) -> Peek:
    """`model`, `stream` and `stream_options.include_usage` of a request body.

    A key given twice with different values is refused: what we route by and what the upstream reads must be the same.
    Raises InvalidRequest.
    """
    seen: dict[type, Any] = {}

    def take(kind: type, value: Any) -> Any:
        if kind in seen and seen[kind] != value:
            raise InvalidRequest("given twice, with different values", where=_NAMES[kind])
        seen[kind] = value
        return _TAKEN[kind]

    try:
        if not body.isascii():
            body.decode()
        msgspec.json.decode(body, type=_Body, dec_hook=take)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise unsound(body, error) from None
    return Peek(_model(seen), _boolean(seen.get(_Stream), "stream"), _include_usage(seen.get(_StreamOptions)))


_NAMES: dict[type, str] = {_Model: "model", _Stream: "stream", _StreamOptions: "stream_options"}
_TAKEN = {kind: kind() for kind in _NAMES}


def _model(seen: dict[type, Any]) -> str:
    if _Model not in seen:
        raise InvalidRequest("required", where="model")
    model = seen[_Model]
    if not isinstance(model, str):
        raise InvalidRequest(f"expected a string, got {name_of(model)}", where="model")
    if not model:
        raise InvalidRequest("must not be empty", where="model")
    if len(model) > MAX_MODEL_CHARS:
        raise InvalidRequest(f"longer than {MAX_MODEL_CHARS} characters", where="model")
    return model


def _boolean(value: Any, where: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidRequest(f"expected true or false, got {name_of(value)}", where=where)
    return value


def _include_usage(options: Any) -> bool:
    if options is None:
        return False
    if not isinstance(options, dict):
        raise InvalidRequest(f"expected an object, got {name_of(options)}", where="stream_options")
    return _boolean(options.get("include_usage"), "stream_options.include_usage")


def name_of(value: Any) -> str:
    """What sort of JSON value a decoded one was, with its article."""
    return _KINDS.get(type(value), "a value of another kind")


_KINDS: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def unsound(body: bytes, error: Exception) -> InvalidRequest:
    """Why a body could not be decoded, in words: what is wrong with it and at which byte.

    `error` is what decoding raised: msgspec's errors, UnicodeDecodeError or RecursionError.
    """
    if not body.strip():
        return InvalidRequest("the body is empty; expected a JSON object")
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply")
    if (place := _not_utf8(body)) >= 0:
        return InvalidRequest(f"the body is not UTF-8 (byte {place})")
    if (place := _lone_surrogate(body)) >= 0:
        return InvalidRequest(f"the body has an escape that is half of a surrogate pair (byte {place})")
    text = str(error)
    if found := _MISTYPED.match(text):
        return InvalidRequest(f"expected {_worded(found[1])}, got {_worded(found[2])}", where=found[3] or "body")
    if "truncated" in text:
        return InvalidRequest(f"the body is not valid JSON: it ends too early (byte {len(body)})")
    return InvalidRequest("the body is not valid JSON: " + text.removeprefix("JSON is malformed: "))


_MISTYPED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_WORDS = {
    "object": "an object",
    "array": "an array",
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "a boolean",
    "null": "null",
}
_ESCAPES = re.compile(
    rb"(?<!\\)(?:\\\\)*\\u(?:([dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|([dD][89a-fA-F][0-9a-fA-F]{2}))"
)


def _worded(kind: str) -> str:
    return " or ".join(_WORDS.get(part.strip(), part.strip()) for part in kind.split("|"))


def _not_utf8(body: bytes) -> int:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1


def _lone_surrogate(body: bytes) -> int:
    """Where the first unpaired surrogate escape is, or -1. Whole pairs are matched first, so that a half left over is lone."""
    return next((found.start(2) - 2 for found in _ESCAPES.finditer(body) if found[2]), -1)
