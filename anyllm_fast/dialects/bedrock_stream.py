"""Streams of Bedrock Converse: events to Sink events and Sink events to events. Knows no framing and no other dialect.

`ConverseDecoder` and `ConverseEncoder` are the Python twins of native/bedrock.pxi and give the same bytes. What Bedrock
wraps around its streams (wire/aws.py) was taken off before them and is put on behind them.

An event is told by its name, which in AWS's framing is a header. Blocks are followed by contentBlockIndex. Blocks of text and of
reasoning have no contentBlockStart, and nothing else says where one ends and the next begins than the index. A reply is complete
with messageStop; its counts come behind that, in metadata, or not at all.
Source: the service model bedrock-runtime 2023-09-30, shape ConverseStreamOutput.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.bedrock_content import NAME
from anyllm_fast.dialects.bedrock_ends import (
    ENDED_EARLY,
    NO_BLOCK,
    NO_NAME,
    assemble,
    is_exception,
    is_malformed,
    read_citation,
    read_exception,
    read_extra,
    write_citation,
    write_end,
    write_failure,
    write_private,
)
from anyllm_fast.dialects.bedrock_event import (
    Delta,
    Event,
    count,
    decode_reasoning,
    decode_start,
    decode_tool,
    raw_delta,
    read_event,
)
from anyllm_fast.dialects.bedrock_reply import judge_stop, write_redacted
from anyllm_fast.dialects.order import CALL, TEXT, THINKING, Ordered
from anyllm_fast.dialects.repair import (
    HELD_MAX,
    HELD_TOO_MUCH,
    MAX_CALLS,
    TOO_MANY_CALLS,
    Malformed,
    is_object,
    number,
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
    """A content block that has begun and not stopped. `kind` is text, thinking, call, or that of a block that is kept whole."""

    __slots__ = ("deltas", "fed", "key", "kind", "raw", "signature")

    def __init__(self, kind: bytes) -> None:
        self.kind = kind
        self.key = -1  # of a call
        self.fed = False  # a call had input, thinking had text
        self.signature = b""
        self.raw = b""  # of a kept block: how it started
        self.deltas: list[bytes] = []


PLAIN_KINDS: Final = frozenset({b"text", b"thinking", b"call"})


class ConverseDecoder:
    """One upstream reply. `frame` takes one event; `finish` says that the body ended cleanly."""

    def __init__(self) -> None:
        self.sees_all = True
        self._over = False
        self._started = False
        self._blocks: dict[int, _Block] = {}
        self._last = -1  # index of the block that began last
        self._after_text = False  # that was a text
        self._calls = 0
        self._held_size = 0
        self._stopped = False
        self._counted = False
        self._counts = Usage()

    def skip(self) -> None:
        """A frame was not shown because it is about content: nothing that is asked of the others depends on it."""

    def frame(self, event: bytes, data: bytes, sink: Sink) -> None:
        data = data.strip(WHITE)
        if self._over:
            return
        if is_exception(event):
            self._fail(read_exception(event, data), sink)
            return
        if not data:
            return
        try:
            read, data = read_event(data)
        except Malformed as error:
            self._fail(unreadable(data, str(error)), sink)
            return
        if not event:
            self._fail(unreadable(data, NO_NAME), sink)
            return
        if not self._started:
            self._started = True
            sink.start(b"", b"")
        if handler := _HANDLERS.get(event):
            handler(self, read, data, sink)
        elif event not in SILENT:
            sink.private(event, data)

    def finish(self, sink: Sink) -> None:
        """Complete without metadata; not without messageStop, whatever else came."""
        if self._over:
            return
        if self._stopped:
            self._end(sink)
        else:
            self._fail(ENDED_EARLY, sink)

    def _fail(self, failure: Failure, sink: Sink) -> None:
        if not self._over:
            self._over = True
            sink.fail(failure)

    def _end(self, sink: Sink) -> None:
        self._over = True
        sink.end()

    # -- events --------------------------------------------------------------------------------------------------------

    def _message_stop(self, event: Event, data: bytes, sink: Sink) -> None:
        if self._stopped:
            return
        for block in self._blocks.values():
            self._close(block, sink)
        self._blocks.clear()
        reason, sequence = string(event.stop_reason), None
        if is_object(event.additional_model_response_fields):
            sequence, rest = read_extra(bytes(event.additional_model_response_fields))
            if rest is not None:
                sink.private(b"additionalModelResponseFields", rest)
        if is_malformed(reason):
            sink.private(b"stopReason", b'"%b"' % reason)
        self._stopped = True
        sink.stop(*judge_stop(reason, sequence, self._calls if self.sees_all else -1))
        if self._counted:
            self._end(sink)

    def _metadata(self, event: Event, data: bytes, sink: Sink) -> None:
        """Of a guarded stream some come without counts; the end waits for those that have them."""
        if is_object(event.trace) and bytes(event.trace) != b"{}":
            sink.private(b"trace", bytes(event.trace))
        if is_object(event.usage):
            self._counted = True
            self._counts = count(event.usage, self._counts)
            sink.usage(self._counts)
            if self._stopped:
                self._end(sink)

    def _block_start(self, event: Event, data: bytes, sink: Sink) -> None:
        index = number(event.content_block_index)
        index = self._last + 1 if index < 0 else index
        if before := self._blocks.pop(index, None):
            self._close(before, sink)
        if not is_object(event.start) or bytes(event.start) == b"{}":
            return  # a text's, at hosts that think it needs one
        start = decode_start(event.start)
        if is_object(start.tool_use):
            tool = decode_tool(start.tool_use)
            if string(tool.type):  # the service runs it itself
                self._keep_start(index, b"toolUse", event.start, sink)
            elif block := self._open(index, b"call", sink):
                block.key = self._calls
                self._calls += 1
                sink.tool(block.key, string(tool.tool_use_id), string(tool.name))
        elif is_object(start.tool_result):
            self._keep_start(index, b"toolResult", event.start, sink)
        elif is_object(start.image):
            self._keep_start(index, b"image", event.start, sink)
        else:
            self._keep_start(index, b"contentBlock", event.start, sink)

    def _keep_start(self, index: int, kind: bytes, start: Raw, sink: Sink) -> None:
        if block := self._open(index, kind, sink):
            block.raw = bytes(start)
            self._hold(len(block.raw), sink)

    def _block_delta(self, event: Event, data: bytes, sink: Sink) -> None:
        delta = event.delta
        if delta is None:
            return
        index = number(event.content_block_index)
        index = max(self._last, 0) if index < 0 else index
        block = self._blocks.get(index)
        if block is not None and block.kind not in PLAIN_KINDS:
            self._keep(block, raw_delta(data), sink)
        elif bytes(delta.text)[:1] == b'"':
            self._text(index, block, string(delta.text), sink)
        elif is_object(delta.tool_use):
            self._input(block, decode_tool(delta.tool_use).input, sink)
        elif is_object(delta.reasoning_content):
            self._reason(index, block, delta.reasoning_content, sink)
        elif is_object(delta.citation):
            for name, raw in read_citation(bytes(delta.citation)):
                sink.private(name, raw)
        else:
            self._keep_delta(index, delta, raw_delta(data), sink)

    def _keep_delta(self, index: int, delta: Delta, raw: bytes, sink: Sink) -> None:
        """Of a kind that is kept whole, with no start; or of a kind that nobody knows."""
        kind = b"image" if is_object(delta.image) else b"toolResult" if bytes(delta.tool_result)[:1] == b"[" else b""
        if not kind:
            sink.private(b"delta", raw)
            return
        if before := self._blocks.pop(index, None):
            self._close(before, sink)
        if block := self._open(index, kind, sink):
            block.raw = b"{}"
            self._keep(block, raw, sink)

    def _block_stop(self, event: Event, data: bytes, sink: Sink) -> None:
        index = number(event.content_block_index)
        if block := self._blocks.pop(self._last if index < 0 else index, None):
            self._close(block, sink)

    # -- content -------------------------------------------------------------------------------------------------------

    def _text(self, index: int, block: _Block | None, span: bytes, sink: Sink) -> None:
        if block is None:
            parted = self._after_text
            if self._open(index, b"text", sink) is None:
                return
            if parted:
                sink.text(b"")  # another text block, not more of the same
        if span:
            sink.text(span)

    def _input(self, block: _Block | None, given: Raw, sink: Sink) -> None:
        span = escaped(bytes(given)) if is_object(given) else string(given)
        if block is None or block.key < 0:
            if self.sees_all:
                self._fail(NO_BLOCK, sink)
        elif span:
            block.fed = True
            sink.args(block.key, span)

    def _reason(self, index: int, block: _Block | None, raw: Raw, sink: Sink) -> None:
        said = decode_reasoning(raw)
        if data := string(said.redacted_content) or string(said.data):
            self._after_text = False
            sink.redacted(data)
            return
        if block is None:
            block = self._open(index, b"thinking", sink)
        if block is None:
            return
        block.signature += string(said.signature)
        if span := string(said.text):
            block.fed = True
            sink.thinking(span)

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _open(self, index: int, kind: bytes, sink: Sink) -> _Block | None:
        """None if there are too many."""
        if len(self._blocks) >= MAX_CALLS or (kind == b"call" and self._calls >= MAX_CALLS):
            self._fail(TOO_MANY_CALLS, sink)
            return None
        self._last = index
        self._after_text = kind == b"text"
        block = self._blocks[index] = _Block(kind)
        return block

    def _keep(self, block: _Block, raw: bytes, sink: Sink) -> None:
        block.deltas.append(raw)
        self._hold(len(raw), sink)

    def _hold(self, size: int, sink: Sink) -> None:
        self._held_size += size
        if self._held_size > HELD_MAX:
            self._fail(HELD_TOO_MUCH, sink)

    def _close(self, block: _Block, sink: Sink) -> None:
        if block.kind == b"thinking":
            if block.fed or block.signature:
                sink.seal(block.signature)
        elif block.kind == b"call":
            if not block.fed:
                sink.args(block.key, b"{}")
        elif block.kind != b"text":
            self._held_size -= len(block.raw) + sum(map(len, block.deltas))
            sink.private(*assemble(block.kind, block.raw, block.deltas))


SILENT: Final = frozenset({b"messageStart", b"initial-response", b"ping"})
_HANDLERS: Final[dict[bytes, Callable[[ConverseDecoder, Event, bytes, Sink], None]]] = {
    b"contentBlockStart": ConverseDecoder._block_start,
    b"contentBlockDelta": ConverseDecoder._block_delta,
    b"contentBlockStop": ConverseDecoder._block_stop,
    b"messageStop": ConverseDecoder._message_stop,
    b"metadata": ConverseDecoder._metadata,
}


# -- encoding ----------------------------------------------------------------------------------------------------------

_START: Final = b'event: contentBlockStart\ndata: {"contentBlockIndex":%d,"start":'
_DELTA: Final = b'event: contentBlockDelta\ndata: {"contentBlockIndex":%d,"delta":'
_STOP: Final = b'event: contentBlockStop\ndata: {"contentBlockIndex":%d}\n\n'


class ConverseEncoder(Ordered):
    """Events for one client. The dialect is serial: one block after the other, see order.py."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self._options = options
        self._foreign = options.origin not in ("", NAME)
        self._index = -1  # of the open block, or of the one before
        self._piece = b""  # how a delta of the open block begins
        self._tail = b""  # and ends
        self._fed = False  # the open call had input
        self._stop: tuple[StopReason, bytes | None] = ("end_turn", None)

    def _write_start(self) -> None:
        self._out.append(b'event: messageStart\ndata: {"role":"assistant"}\n\n')

    def _begin(self, before: bytes, tail: bytes) -> None:
        """A block begins: its deltas are strings between `before` and `tail`."""
        self._index += 1
        self._piece, self._tail = _DELTA % self._index + before, tail

    def _write_open(self, kind: int) -> None:
        if kind == THINKING:
            self._begin(b'{"reasoningContent":{"text":"', b'"}}}\n\n')
        else:
            self._begin(b'{"text":"', b'"}}\n\n')

    def _write_piece(self, kind: int, span: bytes) -> None:
        self._out += (self._piece, span, self._tail)

    def _write_seal(self, signature: bytes) -> None:
        if self._foreign:
            signature = tagged(self._options.origin, signature)
        self._out += (_DELTA % self._index, b'{"reasoningContent":{"signature":"', signature, b'"}}}\n\n')

    def _write_close(self, kind: int) -> None:
        if kind == CALL and not self._fed:
            self._write_args(0, b"{}")
        self._out.append(_STOP % self._index)

    def _write_redacted(self, data: bytes) -> None:
        self._index += 1
        blob = write_redacted(data, self._options.origin)
        self._out += (_DELTA % self._index, b'{"reasoningContent":{"redactedContent":"', blob, b'"}}}\n\n', _STOP % self._index)

    def _write_call(self, count: int, ident: bytes, name: bytes) -> None:
        self._begin(b'{"toolUse":{"input":"', b'"}}}\n\n')
        self._fed = False
        self._out += (_START % self._index, b'{"toolUse":{"toolUseId":"%b","name":"%b"}}}\n\n' % (ident, name))

    def _write_args(self, count: int, span: bytes) -> None:
        self._fed = True
        self._out += (self._piece, span, self._tail)

    def _carry(self, name: bytes, raw: bytes) -> bool:
        """Citations belong to the open text; an annotation of Chat's that comes when no text is open has no place."""
        if name == b"citation" or (name == b"annotation" and self._open == TEXT):
            return self._carry_citation(name, raw)
        written = write_private(name, raw, self._index + 1)
        if written is None or not self._turn_to(0):
            return False
        self._index += 1
        self._out.append(written)
        return True

    def _carry_citation(self, name: bytes, raw: bytes) -> bool:
        written = write_citation(name, raw)
        if written is None or not self._turn_to(TEXT):
            return False
        for lost in written[1]:
            self._lose(lost)
        self._out += (_DELTA % self._index, b'{"citation":', written[0], b"}}\n\n")
        return True

    def _write_stop(self, reason: StopReason, sequence: bytes | None) -> None:
        self._stop = reason, sequence

    def _write_end(self) -> None:
        self._out.append(write_end(self._options, self._stop, self.counts, self.losses))

    def _write_losses(self) -> None:
        """In the last event (write_end)."""

    def _write_failure(self, failure: Failure) -> None:
        self._out.append(write_failure(failure))


# -- the bypass --------------------------------------------------------------------------------------------------------

PLAIN: Final = b"contentBlock"


def _is_plain(event: bytes, data: bytes, committed: bool) -> bool:
    """Content of any kind, also a block that only starts: a model that thinks in silence has begun to answer."""
    return event.startswith(PLAIN) and not is_exception(event)


def _is_error(event: bytes, data: bytes) -> bool:
    return is_exception(event)


WATCHED: Final = Watched(ConverseDecoder, _is_plain, _is_error, write_failure, b"")
