"""The streaming core under one set of names: the native module's where it runs, else the Python twins'.

Frames                                  bytes in any cutting to server-sent events
XDecoder                                events of an upstream to calls of a Sink
XEncoder                                calls of a Sink to a client's bytes
Pipe, Watch                             upstream bytes to client bytes: translated, or passed and watched
splice_model, splice_member             a member of a request body replaced, every other byte kept
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from anyllm_fast._impl import native
from anyllm_fast.neutral.dialect import Encoder
from anyllm_fast.neutral.stream import Pipe as PipeProtocol
from anyllm_fast.wire import pipe as _pipe
from anyllm_fast.wire.carried import Carried, Framing, Unframing
from anyllm_fast.wire.json_array import SseToJsonArray

if TYPE_CHECKING or native is None:
    from anyllm_fast.dialects.anthropic_stream import AnthropicDecoder, AnthropicEncoder
    from anyllm_fast.dialects.bedrock_stream import ConverseDecoder, ConverseEncoder
    from anyllm_fast.dialects.gemini_stream import GeminiDecoder, GeminiEncoder
    from anyllm_fast.dialects.openai_chat_stream import ChatDecoder, ChatEncoder
    from anyllm_fast.dialects.openai_responses_stream import ResponsesDecoder, ResponsesEncoder
    from anyllm_fast.wire.aws import AwsToSse, SseToAws
    from anyllm_fast.wire.pipe import Pipe, Watch
    from anyllm_fast.wire.splice import splice_member, splice_model
    from anyllm_fast.wire.sse import Frames
else:
    AnthropicDecoder, AnthropicEncoder = native.AnthropicDecoder, native.AnthropicEncoder
    ChatDecoder, ChatEncoder = native.ChatDecoder, native.ChatEncoder
    ResponsesDecoder, ResponsesEncoder = native.ResponsesDecoder, native.ResponsesEncoder
    GeminiDecoder, GeminiEncoder = native.GeminiDecoder, native.GeminiEncoder
    ConverseDecoder, ConverseEncoder = native.ConverseDecoder, native.ConverseEncoder
    AwsToSse, SseToAws = native.AwsToSse, native.SseToAws
    Frames, Pipe, Watch = native.Frames, native.Pipe, native.Watch
    splice_member, splice_model = native.splice_member, native.splice_model


def open_translation(decoder: _pipe.Decoder, encoder: Encoder, max_frame: int) -> PipeProtocol:
    """A pipe between two dialects; the native one where both its ends are native."""
    if native is not None and isinstance(decoder, native.Decoder) and isinstance(encoder, native.Ordered):
        return cast(PipeProtocol, native.Pipe(decoder, encoder, max_frame))
    return _pipe.Pipe(decoder, encoder, max_frame)


def open_carried(pipe: PipeProtocol, unframe: Unframing | None, frame: Framing | None) -> PipeProtocol:
    """`pipe` between what takes the upstream's framing off and what puts the client's on."""
    if native is not None and isinstance(pipe, native.Pipe) and isinstance(unframe, native.AwsToSse):
        pipe, unframe = cast(PipeProtocol, native.AwsPipe(pipe, unframe)), None
    return pipe if frame is None and unframe is None else Carried(pipe, unframe, frame)


def open_watch(dialect: _pipe.WatchedDialect, max_frame: int) -> PipeProtocol:
    """A pipe past a stream of one dialect."""
    if native is not None and dialect in native.WATCHED:
        return cast(PipeProtocol, native.Watch(dialect, max_frame))
    return _pipe.Watch(dialect, max_frame)


__all__ = [
    "AnthropicDecoder",
    "AnthropicEncoder",
    "AwsToSse",
    "ChatDecoder",
    "ChatEncoder",
    "ConverseDecoder",
    "ConverseEncoder",
    "Frames",
    "GeminiDecoder",
    "GeminiEncoder",
    "Pipe",
    "ResponsesDecoder",
    "ResponsesEncoder",
    "SseToAws",
    "SseToJsonArray",
    "Watch",
    "open_carried",
    "open_translation",
    "open_watch",
    "splice_member",
    "splice_model",
]
