"""Gemini generateContent: the dialect as one object. Errors and models lists are written here; the rest is delegated.

    requests   gemini_request.py    whole replies   gemini_reply.py    streams   gemini_stream.py, by wire/
    errors of an upstream, whoever wrote them                upstream_error.py

An error is `{"error": {code, message, status, details}}`: the HTTP status, a word of google.rpc.Code, and typed details
(https://cloud.google.com/apis/design/errors). gemini-cli tells by the status whether to try again, and by RetryInfo when.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from anyllm_fast import wire
from anyllm_fast.dialects import gemini_reply, gemini_request, gemini_stream, upstream_error
from anyllm_fast.dialects.gemini_ends import status_of
from anyllm_fast.dialects.peek import unsound
from anyllm_fast.dialects.recorded import record
from anyllm_fast.errors import GatewayError
from anyllm_fast.neutral.dialect import Dialect, Encoder, ModelInfo, Peek, Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Recorder, Reply
from anyllm_fast.neutral.request import Request
from anyllm_fast.neutral.stream import Failure, Pipe, StreamOptions
from anyllm_fast.neutral.usage import Usage

_TYPES: Final = "type.googleapis.com/google.rpc."
DOMAIN: Final = "anyllm-fast"
"""Whose words the reasons in ErrorInfo are."""
PREFIX: Final = "models/"
METHODS: Final = ["generateContent", "streamGenerateContent", "countTokens"]


class _Error(msgspec.Struct, omit_defaults=True):
    code: int
    message: str
    status: str
    details: list[dict[str, Any]] = []


class _ErrorBody(msgspec.Struct):
    error: _Error


class _Model(msgspec.Struct, rename="camel"):
    name: str
    base_model_id: str
    version: str
    display_name: str
    description: str
    supported_generation_methods: list[str]


class _Models(msgspec.Struct):
    models: list[_Model]


class _TheirModel(msgspec.Struct, rename="camel"):
    name: str = ""
    display_name: Any = ""


class _TheirModels(msgspec.Struct, rename="camel"):
    models: list[_TheirModel] = []
    publisher_models: list[_TheirModel] = []


class _Count(msgspec.Struct, rename="camel"):
    total_tokens: int


class _Anything(msgspec.Struct):
    """No member is looked at."""


_encode = msgspec.json.Encoder().encode
_decode_models = msgspec.json.Decoder(_TheirModels).decode
_decode_count = msgspec.json.Decoder(_Count).decode
_decode_anything = msgspec.json.Decoder(_Anything).decode
_decode_chunks = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Gemini:
    """Implements neutral.dialect.Dialect."""

    name: str = "gemini"
    request_id_header: bytes = b"x-request-id"
    content_type_stream: bytes = b"text/event-stream; charset=utf-8"
    keepalive: bytes = b""
    signs: bool = True
    gives_back: bool = True

    def peek(self, body: bytes) -> Peek:
        """Model and stream are in the path; usage comes with every reply."""
        try:
            if not body.isascii():
                body.decode()
            _decode_anything(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise unsound(body, error) from None
        return Peek("", False, True)

    def read_counted(self, body: bytes) -> bytes:
        return body

    def read_request(self, body: bytes, losses: Losses) -> Request:
        return gemini_request.read_request(body, losses)

    def write_request(self, request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
        return gemini_request.write_request(request, model, profile, losses)

    def read_reply(self, body: bytes, losses: Losses) -> Reply:
        return gemini_reply.read_reply(body, losses)

    def read_stream(self, body: bytes, max_frame: int) -> Reply:
        """Events, or the array of chunks that is the answer without `alt=sse`."""
        if body.lstrip()[:1] == b"[":
            return _read_array(body)
        return record(gemini_stream.GeminiDecoder(), body, max_frame)

    def write_reply(self, reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
        return gemini_reply.write_reply(reply, options, losses)

    def read_usage(self, body: bytes) -> Usage:
        return gemini_reply.read_usage(body)

    def read_error(self, status: int, body: bytes) -> Failure:
        return upstream_error.read_error(status, body)

    def read_failure(self, body: bytes) -> Failure | None:
        return upstream_error.read_failure(body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        code, status = status_of(error.kind, error.status)
        return _encode(_ErrorBody(_Error(code, _message(error), status, _details(error, request_id))))

    def status_of(self, error: GatewayError) -> int:
        """The HTTP status that Google would send for this error."""
        return status_of(error.kind, error.status)[0]

    def error_headers(self, error: GatewayError) -> list[tuple[bytes, bytes]]:
        return []

    def write_count(self, tokens: int) -> bytes:
        return b'{"totalTokens":%d}' % tokens

    def read_count(self, body: bytes) -> int:
        return _decode_count(body).total_tokens

    def open_pipe(self, client: Dialect, options: StreamOptions, max_frame: int) -> Pipe:
        if client is self:
            return wire.open_watch("gemini", max_frame)
        return wire.open_translation(wire.GeminiDecoder(), client.encoder(options), max_frame)

    def encoder(self, options: StreamOptions) -> Encoder:
        return wire.GeminiEncoder(options)

    def write_models(self, models: Sequence[ModelInfo]) -> bytes:
        """The whole list as one page."""
        return _encode(_Models([_model(info) for info in models]))

    def write_model(self, info: ModelInfo) -> bytes:
        return _encode(_model(info))

    def read_models(self, body: bytes) -> list[ModelInfo]:
        """An upstream's models list, Vertex's of a publisher too. ValueError if it is none."""
        read = _decode_models(body)
        return [
            ModelInfo(_short(m.name), 0, "google", m.display_name if isinstance(m.display_name, str) else "")
            for m in (*read.models, *read.publisher_models)
            if _short(m.name)
        ]


def _read_array(body: bytes) -> Reply:
    decoder, recorder = gemini_stream.GeminiDecoder(), Recorder()
    try:
        chunks = [bytes(raw) for raw in _decode_chunks(body)]
    except (ValueError, RecursionError):
        chunks = [body]  # the decoder says what is wrong with it
    for chunk in chunks:
        decoder.frame(b"", chunk, recorder)
    decoder.finish(recorder)
    return recorder.reply


def _message(error: GatewayError) -> str:
    """The path, then what is wrong with it. A prompt that is too long is said in Google's words, whoever found it so."""
    text = str(error)
    if error.code != upstream_error.OVERFLOW:
        return text
    numbers = upstream_error.overflow_numbers(text)
    if numbers is None or text.startswith("The input token count"):
        return text
    return f"The input token count ({numbers[0]}) exceeds the maximum number of tokens allowed ({numbers[1]}). ({text})"


_SECONDS: Final = re.compile(rb"\d{1,6}(?:\.\d{1,3})?")


def _details(error: GatewayError, request_id: str) -> list[dict[str, Any]]:
    """What clients act on: when to try again, the machine-readable reason, the field at fault."""
    details: list[dict[str, Any]] = []
    if error.code:
        details.append({"@type": _TYPES + "ErrorInfo", "reason": error.code, "domain": DOMAIN})
    if error.where:
        violation = {"field": error.where, "description": error.message}
        details.append({"@type": _TYPES + "BadRequest", "fieldViolations": [violation]})
    for name, value in error.headers:
        if name.lower() == b"retry-after" and _SECONDS.fullmatch(value):
            details.append({"@type": _TYPES + "RetryInfo", "retryDelay": value.decode() + "s"})
    if request_id:
        details.append({"@type": _TYPES + "RequestInfo", "requestId": request_id})
    return details


def _model(info: ModelInfo) -> _Model:
    return _Model(PREFIX + info.id, info.id, "", info.display_name or info.id, "", METHODS)


def _short(name: str) -> str:
    """`models/x`, `publishers/google/models/x` and `projects/.../models/x` by the name that requests use."""
    return name.rpartition(PREFIX)[2] if PREFIX in name else name


GEMINI: Final = Gemini()
