"""OpenAI Responses: the dialect as one object. Errors and models lists are written here; the rest is delegated.

    requests   openai_responses_request.py    whole replies   openai_responses_reply.py    streams   openai_responses_stream.py, by wire/
    errors of an upstream, whoever wrote them                upstream_error.py

Statuses, types and codes are OpenAI's own (https://platform.openai.com/docs/guides/error-codes). Its SDKs retry 408, 409, 429 and
everything from 500 up; Codex reads `code`, above all context_length_exceeded and insufficient_quota.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from anyllm_fast import wire
from anyllm_fast.dialects import openai_responses_reply, openai_responses_request, openai_responses_stream, upstream_error
from anyllm_fast.dialects.counts import read_count, write_count
from anyllm_fast.dialects.peek import peek_body
from anyllm_fast.dialects.recorded import record
from anyllm_fast.errors import GatewayError, Kind
from anyllm_fast.neutral.dialect import Dialect, Encoder, ModelInfo, Peek, Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Reply
from anyllm_fast.neutral.request import Request
from anyllm_fast.neutral.stream import Failure, Pipe, StreamOptions
from anyllm_fast.neutral.usage import Usage

ERRORS: dict[Kind, tuple[str, str | None]] = {
    "invalid_request": ("invalid_request_error", None),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "billing": ("insufficient_quota", "insufficient_quota"),
    "permission": ("invalid_request_error", None),
    "not_found": ("invalid_request_error", None),
    "method_not_allowed": ("invalid_request_error", "method_not_supported"),
    "conflict": ("invalid_request_error", None),
    "too_large": ("invalid_request_error", "request_too_large"),
    "unprocessable": ("invalid_request_error", None),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "api": ("server_error", None),
    "timeout": ("server_error", "timeout"),
    "overloaded": ("server_error", "overloaded"),
}
"""Type, and the code where the error brings none of its own."""
STATUSES: dict[Kind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 429,
    "permission": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "timeout": 504,
    "overloaded": 503,
}
"""What each kind is here. `api` keeps its own status from 500 up: all of them are retried."""


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _ErrorBody(msgspec.Struct):
    error: _Error


class _Model(msgspec.Struct):
    id: str
    object: str
    created: int
    owned_by: str


class _Models(msgspec.Struct):
    object: str
    data: list[_Model]


class _TheirModel(msgspec.Struct):
    id: str = ""
    created: Any = 0
    owned_by: Any = ""


class _TheirModels(msgspec.Struct):
    data: list[_TheirModel] = []


_encode = msgspec.json.Encoder().encode
_decode_models = msgspec.json.Decoder(_TheirModels).decode


class OpenAIResponses:
    """Implements neutral.dialect.Dialect."""

    name: str = "openai_responses"
    request_id_header: bytes = b"x-request-id"
    content_type_stream: bytes = b"text/event-stream; charset=utf-8"
    keepalive: bytes = b": keep-alive\n\n"
    signs: bool = True
    gives_back: bool = True

    def peek(self, body: bytes) -> Peek:
        return peek_body(body)

    def read_counted(self, body: bytes) -> bytes:
        return body

    def read_request(self, body: bytes, losses: Losses) -> Request:
        return openai_responses_request.read_request(body, losses)

    def write_request(self, request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
        return openai_responses_request.write_request(request, model, profile, losses)

    def read_reply(self, body: bytes, losses: Losses) -> Reply:
        return openai_responses_reply.read_reply(body, losses)

    def read_stream(self, body: bytes, max_frame: int) -> Reply:
        return record(openai_responses_stream.ResponsesDecoder(), body, max_frame)

    def write_reply(self, reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
        return openai_responses_reply.write_reply(reply, options, losses)

    def read_usage(self, body: bytes) -> Usage:
        return openai_responses_reply.read_usage(body)

    def read_error(self, status: int, body: bytes) -> Failure:
        return upstream_error.read_error(status, body)

    def read_failure(self, body: bytes) -> Failure | None:
        return upstream_error.read_failure(body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        """`param` is the path of the field at fault; the message says it too, for people."""
        kind, code = ERRORS[error.kind]
        if error.kind == "not_found" and error.where == "model":
            code = "model_not_found"
        return _encode(_ErrorBody(_Error(str(error), kind, error.where or None, error.code or code)))

    def status_of(self, error: GatewayError) -> int:
        """The HTTP status that OpenAI would send for this error."""
        return STATUSES.get(error.kind) or (error.status if error.status >= 500 else 500)

    def error_headers(self, error: GatewayError) -> list[tuple[bytes, bytes]]:
        return []

    def write_count(self, tokens: int) -> bytes:
        return write_count(tokens)

    def read_count(self, body: bytes) -> int:
        return read_count(body)

    def open_pipe(self, client: Dialect, options: StreamOptions, max_frame: int) -> Pipe:
        if client is self:
            return wire.open_watch("openai_responses", max_frame)
        return wire.open_translation(wire.ResponsesDecoder(), client.encoder(options), max_frame)

    def encoder(self, options: StreamOptions) -> Encoder:
        return wire.ResponsesEncoder(options)

    def write_models(self, models: Sequence[ModelInfo]) -> bytes:
        return _encode(_Models("list", [_model(info) for info in models]))

    def write_model(self, info: ModelInfo) -> bytes:
        return _encode(_model(info))

    def read_models(self, body: bytes) -> list[ModelInfo]:
        """An upstream's models list. ValueError if it is none."""
        return [
            ModelInfo(
                m.id,
                m.created if isinstance(m.created, int) and not isinstance(m.created, bool) else 0,
                m.owned_by if isinstance(m.owned_by, str) else "",
            )
            for m in _decode_models(body).data
            if m.id
        ]


def _model(info: ModelInfo) -> _Model:
    return _Model(info.id, "model", info.created, info.owned_by or "system")


OPENAI_RESPONSES: Final = OpenAIResponses()
