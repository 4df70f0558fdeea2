"""Streams of Anthropic Messages: events to Sink events and Sink events to events. Knows no framing and no other dialect.

`AnthropicDecoder` and `AnthropicEncoder` are the Python twins of native/anthropic.pxi and give the same bytes.

An event is told by the `type` in its data; the `event:` line is a hint that hosts get wrong. Blocks are followed by index:
thinking is sealed when its block stops, a call without input gets `{}`, and a block of a kind that the middle has no word for
(server tools and their results) is put together and reported whole. The stop reason is kept until message_stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from anyllm_fast.dialects.anthropic_ends import (
    ENDED_EARLY,
    NO_BLOCK,
    NO_TYPE,
    foreign,
    judge_stop,
    unsaid_in_block,
    unsaid_in_end,
    unsaid_in_message,
    write_failure,
    write_start,
    write_stop,
)
from anyllm_fast.dialects.anthropic_event import (
    Content,
    Delta,
    Event,
    count,
    decode_content,
    decode_message,
    raw_delta,
    read_event,
)
from anyllm_fast.dialects.citations import citation_of
from anyllm_fast.dialects.media import image_block
from anyllm_fast.dialects.order import CALL, NOTHING, TEXT, THINKING, Ordered
from anyllm_fast.dialects.repair import (
    HELD_MAX,
    HELD_TOO_MUCH,
    MAX_CALLS,
    TOO_MANY_CALLS,
    Malformed,
    assemble,
    in_stream_error,
    is_object,
    number,
    objects,
    string,
    unreadable,
)
from anyllm_fast.neutral.signatures import tagged
from anyllm_fast.neutral.spans import escaped
from anyllm_fast.neutral.stream import Failure, Sink, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.wire.pipe import Watched

WHITE: Final = b" \t\r\n"


# -- decoding ----------------------------------------------------------------------------------------------------------


class _Block:
    """A content block that has started and not stopped. `kind` is its type on the wire."""

    __slots__ = ("deltas", "fed", "key", "kind", "raw", "signature")

    def __init__(self, kind: bytes) -> None:
        self.kind = kind
        self.key = -1  # of a call
        self.fed = False  # a call had input, thinking had text
        self.signature = b""
        self.raw = b""  # of a call: its input; of a private block: the block as it started
        self.deltas: list[bytes] = []


KNOWN: Final = frozenset({b"text", b"thinking", b"redacted_thinking", b"tool_use"})


class AnthropicDecoder:
    """One upstream reply. `frame` takes one event's data; `finish` says that the body ended cleanly."""

    def __init__(self) -> None:
        self.sees_all = True
        self._over = False
        self._started = False
        self._blocks: dict[int, _Block] = {}
        self._last = -1  # index of the block that started last
        self._after_text = False
        self._calls = 0
        self._held_size = 0
        self._reason = b""
        self._sequence: bytes | None = None
        self._counts = Usage()

    def skip(self) -> None:
        """A frame was not shown because it is about content: nothing that is asked of the others depends on it."""

    def frame(self, event: bytes, data: bytes, sink: Sink) -> None:
        data = data.strip(WHITE)
        if self._over or not data or data == b"[DONE]":
            return
        try:
            read, data = read_event(data)
        except Malformed as error:
            self._fail(unreadable(data, str(error)), sink)
            return
        kind = string(read.type)
        if kind == b"error" or (not kind and (is_object(read.error) or string(read.error))):
            self._fail(in_stream_error(data), sink)
        elif handler := _HANDLERS.get(kind):
            handler(self, read, data, sink)
        elif not kind:
            self._fail(unreadable(data, NO_TYPE), sink)
        elif kind != b"ping":
            sink.private(kind, data)

    def finish(self, sink: Sink) -> None:
        self._fail(ENDED_EARLY, sink)

    def _fail(self, failure: Failure, sink: Sink) -> None:
        if not self._over:
            self._over = True
            sink.fail(failure)

    # -- events --------------------------------------------------------------------------------------------------------

    def _message_start(self, event: Event, data: bytes, sink: Sink) -> None:
        if self._started:
            return
        self._started = True
        if not is_object(event.message):
            sink.start(b"", b"")
            return
        message = decode_message(event.message)
        sink.start(string(message.id), string(message.model))
        for name, raw in unsaid_in_message(bytes(event.message)):
            sink.private(name, raw)
        if is_object(message.usage):
            self._counts = count(message.usage, self._counts)
            sink.usage(self._counts)

    def _message_delta(self, event: Event, data: bytes, sink: Sink) -> None:
        if (delta := event.delta) and (reason := string(delta.stop_reason)):
            self._reason = reason
            self._sequence = string(delta.stop_sequence) or None
        for name, raw in unsaid_in_end(data):
            sink.private(name, raw)
        if is_object(event.usage):
            self._counts = count(event.usage, self._counts)
            sink.usage(self._counts)

    def _message_stop(self, event: Event, data: bytes, sink: Sink) -> None:
        for block in self._blocks.values():
            self._close(block, sink)
        self._over = True
        sink.stop(*judge_stop(self._reason, self._sequence, self._calls))
        sink.end()

    def _block_start(self, event: Event, data: bytes, sink: Sink) -> None:
        self._last = index = number(event.index) if number(event.index) >= 0 else self._last + 1
        if not is_object(event.content_block):
            return
        content = decode_content(event.content_block)
        kind = string(content.type)
        if before := self._blocks.pop(index, None):
            self._close(before, sink)
        if len(self._blocks) >= MAX_CALLS:
            self._fail(TOO_MANY_CALLS, sink)
            return
        block = self._blocks[index] = _Block(kind)
        for name, raw in unsaid_in_block(kind, bytes(event.content_block)):
            sink.private(name, raw)
        if kind == b"text":
            self._start_text(content, sink)
            return
        if kind in KNOWN:  # others leave the sink where it was
            self._after_text = False
        if kind == b"thinking":
            block.signature = string(content.signature)
            if span := string(content.thinking):
                block.fed = True
                sink.thinking(span)
        elif kind == b"redacted_thinking":
            sink.redacted(string(content.data))
        elif kind == b"tool_use":
            self._start_call(block, content, sink)
        else:
            block.kind = kind or b"content_block"
            self._keep(block, bytes(event.content_block), sink)

    def _start_text(self, content: Content, sink: Sink) -> None:
        if self._after_text:
            self._after_text = False
            sink.text(b"")  # another text block, not more of the same
        if span := string(content.text):
            sink.text(span)
        for citation in objects(content.citations):
            sink.private(b"citation", bytes(citation))

    def _start_call(self, block: _Block, content: Content, sink: Sink) -> None:
        if self._calls >= MAX_CALLS:
            self._fail(TOO_MANY_CALLS, sink)
            return
        block.key = self._calls
        self._calls += 1
        if is_object(content.input):
            block.raw = bytes(content.input)
        sink.tool(block.key, string(content.id), string(content.name))

    def _block_delta(self, event: Event, data: bytes, sink: Sink) -> None:
        delta = event.delta
        if delta is None:
            return
        index = number(event.index)
        block = self._blocks.get(self._last if index < 0 else index)
        kind = string(delta.type)
        if block is not None and block.kind not in KNOWN:
            self._keep(block, raw_delta(data), sink)
        elif kind == b"text_delta":
            if span := string(delta.text):
                sink.text(span)
        elif kind == b"thinking_delta":
            if span := string(delta.thinking):
                if block is not None:
                    block.fed = True
                sink.thinking(span)
        elif kind == b"input_json_delta":
            self._input(block, delta, sink)
        elif kind == b"signature_delta":
            if block is not None and (signature := string(delta.signature)):
                block.signature = signature
        elif kind == b"citations_delta" and is_object(delta.citation):
            sink.private(b"citation", bytes(delta.citation))
        else:
            sink.private(kind or b"delta", raw_delta(data))

    def _input(self, block: _Block | None, delta: Delta, sink: Sink) -> None:
        span = string(delta.partial_json)
        if block is None or block.key < 0:
            if self.sees_all:
                self._fail(NO_BLOCK, sink)
        elif span:
            block.fed = True
            sink.args(block.key, span)

    def _block_stop(self, event: Event, data: bytes, sink: Sink) -> None:
        index = number(event.index)
        if block := self._blocks.pop(self._last if index < 0 else index, None):
            self._close(block, sink)

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _keep(self, block: _Block, raw: bytes, sink: Sink) -> None:
        self._held_size += len(raw)
        if self._held_size > HELD_MAX:
            self._fail(HELD_TOO_MUCH, sink)
        elif block.raw:
            block.deltas.append(raw)
        else:
            block.raw = raw

    def _close(self, block: _Block, sink: Sink) -> None:
        if block.kind == b"text":
            self._after_text = True
        elif block.kind == b"thinking":
            if block.fed or block.signature:
                sink.seal(block.signature)
        elif block.kind == b"tool_use":
            if not block.fed:
                sink.args(block.key, escaped(block.raw or b"{}"))
        elif block.kind != b"redacted_thinking":
            self._held_size -= len(block.raw) + sum(map(len, block.deltas))
            sink.private(block.kind, assemble(block.raw, block.deltas))


_HANDLERS: Final[dict[bytes, Callable[[AnthropicDecoder, Event, bytes, Sink], None]]] = {
    b"message_start": AnthropicDecoder._message_start,
    b"content_block_start": AnthropicDecoder._block_start,
    b"content_block_delta": AnthropicDecoder._block_delta,
    b"content_block_stop": AnthropicDecoder._block_stop,
    b"message_delta": AnthropicDecoder._message_delta,
    b"message_stop": AnthropicDecoder._message_stop,
}


# -- encoding ----------------------------------------------------------------------------------------------------------

_DELTA: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_START: Final = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":'
_CLOSE: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'


class AnthropicEncoder(Ordered):
    """Events for one client. The dialect is serial: one block after the other, see order.py."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self._options = options
        self._origin = foreign(options.origin)
        self._index = -1  # of the open block, or of the one before
        self._piece = b""  # how a delta of the open block begins
        self._stop: tuple[StopReason, bytes | None] = ("end_turn", None)

    def _write_start(self) -> None:
        self._out.append(write_start(self._options, self.counts))

    def _begin(self, block: bytes) -> None:
        self._index += 1
        self._out += (_START % self._index, block, b"}\n\n")

    def _write_open(self, kind: int) -> None:
        if kind == THINKING:
            self._begin(b'{"type":"thinking","thinking":"","signature":""}')
            self._piece = _DELTA % self._index + b'{"type":"thinking_delta","thinking":"'
        else:
            self._begin(b'{"type":"text","text":""}')
            self._piece = _DELTA % self._index + b'{"type":"text_delta","text":"'

    def _write_piece(self, kind: int, span: bytes) -> None:
        self._out += (self._piece, span, b'"}}\n\n')

    def _write_seal(self, signature: bytes) -> None:
        signature = tagged(self._origin, signature)
        self._out += (_DELTA % self._index, b'{"type":"signature_delta","signature":"', signature, b'"}}\n\n')

    def _write_close(self, kind: int) -> None:
        self._out.append(_CLOSE % self._index)

    def _write_redacted(self, data: bytes) -> None:
        self._begin(b'{"type":"redacted_thinking","data":"%b"}' % tagged(self._origin, data))
        self._write_close(CALL)

    def _write_call(self, count: int, ident: bytes, name: bytes) -> None:
        self._begin(b'{"type":"tool_use","id":"%b","name":"%b","input":{}}' % (ident, name))
        self._piece = _DELTA % self._index + b'{"type":"input_json_delta","partial_json":"'

    def _write_args(self, count: int, span: bytes) -> None:
        self._out += (self._piece, span, b'"}}\n\n')

    def _carry(self, name: bytes, raw: bytes) -> bool:
        """Citations belong to the open text. A url_citation of Chat's that comes when no text is open has no place."""
        if name == b"media":
            return self._write_image(raw)
        if name == b"annotation" and self._open == TEXT:
            citation = citation_of(raw)
        elif name == b"citation" and self._turn_to(TEXT):
            citation = raw
        else:
            return False
        if citation is None:
            return False
        self._out += (_DELTA % self._index, b'{"type":"citations_delta","citation":', citation, b"}}\n\n")
        return True

    def _write_image(self, raw: bytes) -> bool:
        block = image_block(raw)
        if block is None or not self._turn_to(NOTHING):
            return False
        self._begin(block)
        self._write_close(CALL)
        return True

    def _write_stop(self, reason: StopReason, sequence: bytes | None) -> None:
        self._stop = reason, sequence

    def _write_end(self) -> None:
        self._out.append(write_stop(*self._stop, self.counts))

    def _write_failure(self, failure: Failure) -> None:
        self._out.append(write_failure(failure))


# -- the bypass --------------------------------------------------------------------------------------------------------

PLAIN: Final = (b'{"type":"content_block_', b'{"type": "content_block_')


def _is_plain(event: bytes, data: bytes, committed: bool) -> bool:
    """Content of any kind, also a block that only starts: a model that thinks in silence has begun to answer."""
    return data.startswith(PLAIN)


def _is_error(event: bytes, data: bytes) -> bool:
    """SDKs raise for the event's name, whatever is in it."""
    return event == b"error"


WATCHED: Final = Watched(AnthropicDecoder, _is_plain, _is_error, write_failure, b"")
