"""The streaming core under one set of names: the native module's where it runs, else the Python twins'. Holds no logic.

Frames                                  bytes in any cutting to server-sent events
ChatDecoder, AnthropicDecoder           events of an upstream to calls of a Sink
ChatEncoder, AnthropicEncoder           calls of a Sink to a client's bytes
Pipe, Watch                             upstream bytes to client bytes: translated, or passed and watched
splice_model, splice_member             a member of a request body replaced, every other byte kept
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyllm_fast._impl import native

if TYPE_CHECKING or native is None:
    from anyllm_fast.dialects.anthropic_stream import AnthropicDecoder, AnthropicEncoder
    from anyllm_fast.dialects.openai_chat_stream import ChatDecoder, ChatEncoder
    from anyllm_fast.wire.pipe import Pipe, Watch
    from anyllm_fast.wire.splice import splice_member, splice_model
    from anyllm_fast.wire.sse import Frames
else:
    AnthropicDecoder, AnthropicEncoder = native.AnthropicDecoder, native.AnthropicEncoder
    ChatDecoder, ChatEncoder = native.ChatDecoder, native.ChatEncoder
    Frames, Pipe, Watch = native.Frames, native.Pipe, native.Watch
    splice_member, splice_model = native.splice_member, native.splice_model

__all__ = [
    "AnthropicDecoder",
    "AnthropicEncoder",
    "ChatDecoder",
    "ChatEncoder",
    "Frames",
    "Pipe",
    "Watch",
    "splice_member",
    "splice_model",
]
