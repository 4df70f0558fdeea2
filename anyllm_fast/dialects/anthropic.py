"""Anthropic Messages: the dialect as one object. Errors and models lists are written here; the rest is delegated.

    requests   anthropic_request.py      whole replies   anthropic_reply.py      streams   anthropic_stream.py, by wire/
    errors of an upstream, whoever wrote them                upstream_error.py

Statuses are Anthropic's own (https://docs.claude.com/en/api/errors). Clients act on them: Claude Code retries 401, 429, 529 and
5xx with a backoff, compacts the conversation on `prompt is too long: N tokens > M maximum`, and tries a 400 that it does not know
up to six times, each time with fewer beta features; so a 400 is only for what is wrong with the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from anyllm_fast import wire
from anyllm_fast.dialects import anthropic_reply, anthropic_request, anthropic_stream, upstream_error
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

ERROR_TYPES: dict[Kind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "method_not_allowed": "invalid_request_error",
    "conflict": "conflict_error",
    "too_large": "request_too_large",
    "unprocessable": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "api": "api_error",
    "timeout": "timeout_error",
    "overloaded": "overloaded_error",
}
STATUSES: dict[Kind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 400,
    "rate_limit": 429,
    "timeout": 504,
    "overloaded": 529,
}
"""What each kind is here. `api` keeps its own status from 500 up: 500, 502 and 501 are all retried."""


class _Error(msgspec.Struct):
    type: str
    message: str


class _ErrorBody(msgspec.Struct):
    type: str
    error: _Error
    request_id: str


class _Model(msgspec.Struct):
    type: str
    id: str
    display_name: str
    created_at: str


class _Models(msgspec.Struct):
    data: list[_Model]
    has_more: bool
    first_id: str | None
    last_id: str | None


class _TheirModel(msgspec.Struct):
    id: str = ""
    created_at: str = ""
    display_name: str = ""


class _TheirModels(msgspec.Struct):
    data: list[_TheirModel] = []


_encode = msgspec.json.Encoder().encode
_decode_models = msgspec.json.Decoder(_TheirModels).decode


class AnthropicMessages:
    """Implements neutral.dialect.Dialect."""

    name: str = "anthropic"
    request_id_header: bytes = b"request-id"
    content_type_stream: bytes = b"text/event-stream; charset=utf-8"
    keepalive: bytes = b'event: ping\ndata: {"type": "ping"}\n\n'
    signs: bool = True
    gives_back: bool = True

    def peek(self, body: bytes) -> Peek:
        return peek_body(body)

    def read_counted(self, body: bytes) -> bytes:
        return body

    def read_request(self, body: bytes, losses: Losses) -> Request:
        return anthropic_request.read_request(body, losses)

    def write_request(self, request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
        return anthropic_request.write_request(request, model, profile, losses)

    def read_reply(self, body: bytes, losses: Losses) -> Reply:
        return anthropic_reply.read_reply(body, losses)

    def read_stream(self, body: bytes, max_frame: int) -> Reply:
        return record(anthropic_stream.AnthropicDecoder(), body, max_frame)

    def write_reply(self, reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
        return anthropic_reply.write_reply(reply, options, losses)

    def read_usage(self, body: bytes) -> Usage:
        return anthropic_reply.read_usage(body)

    def read_error(self, status: int, body: bytes) -> Failure:
        return upstream_error.read_error(status, body)

    def read_failure(self, body: bytes) -> Failure | None:
        return upstream_error.read_failure(body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return _encode(_ErrorBody("error", _Error(ERROR_TYPES[error.kind], _message(error)), request_id))

    def status_of(self, error: GatewayError) -> int:
        """The HTTP status that Anthropic would send for this error."""
        return STATUSES.get(error.kind) or (error.status if error.status >= 500 else 500)

    def error_headers(self, error: GatewayError) -> list[tuple[bytes, bytes]]:
        return []

    def write_count(self, tokens: int) -> bytes:
        return write_count(tokens)

    def read_count(self, body: bytes) -> int:
        return read_count(body)

    def open_pipe(self, client: Dialect, options: StreamOptions, max_frame: int) -> Pipe:
        if client is self:
            return wire.open_watch("anthropic", max_frame)
        return wire.open_translation(wire.AnthropicDecoder(), client.encoder(options), max_frame)

    def encoder(self, options: StreamOptions) -> Encoder:
        return wire.AnthropicEncoder(options)

    def write_models(self, models: Sequence[ModelInfo]) -> bytes:
        """The whole list as one page, as GET /v1/models has it."""
        data = [_model(info) for info in models]
        return _encode(_Models(data, False, data[0].id if data else None, data[-1].id if data else None))

    def write_model(self, info: ModelInfo) -> bytes:
        return _encode(_model(info))

    def read_models(self, body: bytes) -> list[ModelInfo]:
        """An upstream's models list. ValueError if it is none."""
        return [ModelInfo(m.id, _epoch(m.created_at), "anthropic", m.display_name) for m in _decode_models(body).data if m.id]


def _message(error: GatewayError) -> str:
    """The path, then what is wrong with it. A prompt that is too long is said in Anthropic's words, whoever found it so."""
    text = str(error)
    if error.code != upstream_error.OVERFLOW:
        return text
    numbers = upstream_error.overflow_numbers(text)
    if numbers is None or text.startswith("prompt is too long"):
        return text
    return f"prompt is too long: {numbers[0]} tokens > {numbers[1]} maximum ({text})"


def _model(info: ModelInfo) -> _Model:
    created = datetime.fromtimestamp(info.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _Model("model", info.id, info.display_name or info.id, created)


def _epoch(created_at: str) -> int:
    try:
        return int(datetime.fromisoformat(created_at).timestamp())
    except ValueError:
        return 0


ANTHROPIC: Final = AnthropicMessages()
