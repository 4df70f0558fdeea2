"""OpenAI Chat Completions: the dialect as one object. Everything is delegated.

requests   openai_chat_request.py    whole replies   openai_chat_reply.py    streams   openai_chat_stream.py, by wire/
errors, models lists     openai_errors.py    errors of an upstream, whoever wrote them                upstream_error.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from anyllm_fast import wire
from anyllm_fast.dialects import (
    openai_chat_reply,
    openai_chat_request,
    openai_chat_stream,
    openai_chat_usage,
    openai_errors,
    upstream_error,
)
from anyllm_fast.dialects.counts import read_count, write_count
from anyllm_fast.dialects.peek import peek_body
from anyllm_fast.dialects.recorded import record
from anyllm_fast.errors import GatewayError
from anyllm_fast.neutral.dialect import Dialect, Encoder, ModelInfo, Peek, Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import Reply
from anyllm_fast.neutral.request import Request
from anyllm_fast.neutral.stream import Failure, Pipe, StreamOptions
from anyllm_fast.neutral.usage import Usage


class OpenAIChat:
    """Implements neutral.dialect.Dialect."""

    name: str = "openai_chat"
    request_id_header: bytes = b"x-request-id"
    content_type_stream: bytes = b"text/event-stream; charset=utf-8"
    keepalive: bytes = b": keep-alive\n\n"
    signs: bool = False
    gives_back: bool = False

    def peek(self, body: bytes) -> Peek:
        return peek_body(body)

    def read_counted(self, body: bytes) -> bytes:
        return body

    def read_request(self, body: bytes, losses: Losses) -> Request:
        return openai_chat_request.read_request(body, losses)

    def write_request(self, request: Request, model: str, profile: Profile, losses: Losses) -> bytes:
        return openai_chat_request.write_request(request, model, profile, losses)

    def read_reply(self, body: bytes, losses: Losses) -> Reply:
        return openai_chat_reply.read_reply(body, losses)

    def read_stream(self, body: bytes, max_frame: int) -> Reply:
        return record(openai_chat_stream.ChatDecoder(), body, max_frame)

    def write_reply(self, reply: Reply, options: StreamOptions, losses: Losses) -> bytes:
        return openai_chat_reply.write_reply(reply, options, losses)

    def read_usage(self, body: bytes) -> Usage:
        return openai_chat_usage.read_usage(body)

    def read_error(self, status: int, body: bytes) -> Failure:
        return upstream_error.read_error(status, body)

    def read_failure(self, body: bytes) -> Failure | None:
        return upstream_error.read_failure(body)

    def write_error(self, error: GatewayError, request_id: str) -> bytes:
        return openai_errors.write_error(error)

    def status_of(self, error: GatewayError) -> int:
        """The HTTP status that OpenAI would send for this error."""
        return openai_errors.status_of(error)

    def error_headers(self, error: GatewayError) -> list[tuple[bytes, bytes]]:
        return []

    def write_count(self, tokens: int) -> bytes:
        return write_count(tokens)

    def read_count(self, body: bytes) -> int:
        return read_count(body)

    def open_pipe(self, client: Dialect, options: StreamOptions, max_frame: int) -> Pipe:
        if client is self:
            return wire.open_watch("openai_chat", max_frame)
        return wire.open_translation(wire.ChatDecoder(), client.encoder(options), max_frame)

    def encoder(self, options: StreamOptions) -> Encoder:
        return wire.ChatEncoder(options)

    def write_models(self, models: Sequence[ModelInfo]) -> bytes:
        return openai_errors.write_models(models)

    def write_model(self, info: ModelInfo) -> bytes:
        return openai_errors.write_model(info)

    def read_models(self, body: bytes) -> list[ModelInfo]:
        return openai_errors.read_models(body)


OPENAI_CHAT: Final = OpenAIChat()
