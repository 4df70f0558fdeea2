"""Streams of OpenAI Responses read: events to Sink events. Knows no framing and no other dialect.

`ResponsesDecoder` is the Python twin of native/openai_responses.pxi and says the same.

An event is told by the `type` in its data; the `event:` line counts where there is none. The API says everything several times:
as deltas, as a finished part, as a finished item, and once more in the last event. Hosts leave out any of these but the last, so
what was said of an item is remembered by the index of its part, and what comes again is passed over. Progress reports of OpenAI's
own tools are not read: the item says it all when it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.media import SAMPLES, media
from anyllm_fast.dialects.openai_responses_ends import (
    ENDED_EARLY,
    NO_ITEM,
    NO_TYPE,
    annotation,
    error_event,
    image,
    judge_end,
    unsaid,
)
from anyllm_fast.dialects.openai_responses_event import Event, Item, decode_head, decode_item, decode_part, read_event
from anyllm_fast.dialects.openai_responses_names import in_namespace
from anyllm_fast.dialects.openai_responses_reply import BREAK, opaque
from anyllm_fast.dialects.repair import MAX_CALLS, TOO_MANY_CALLS, Malformed, is_object, number, objects, string, unreadable
from anyllm_fast.neutral.custom_tools import CLOSE, OPEN, deeper
from anyllm_fast.neutral.spans import escaped
from anyllm_fast.neutral.stream import Failure, Sink

WHITE: Final = b" \t\r\n"
SUMMARY, WORDS = range(2)


class _Open:
    """An output item that has begun and is not done."""

    __slots__ = ("call_id", "fed", "ident", "index", "key", "kind", "name", "noted", "said", "serial", "spot", "thought")

    def __init__(self, serial: int, index: int, kind: bytes) -> None:
        self.serial = serial
        self.index = index
        self.kind = kind
        self.ident = b""
        self.call_id = b""
        self.name = b""
        self.key = -1  # of a call that was told
        self.fed = False  # a call had arguments, reasoning had text
        self.said = -1  # the last part of the content of which something was said
        self.noted = -1  # the last one of which an annotation was
        self.thought = -1  # the last part of the summary
        self.spot = (-1, -1)  # where the thinking is that was said last


CALLS: Final = (b"function_call", b"custom_tool_call")
BUILT_IN: Final = {b"local_shell_call": b"local_shell", b"shell_call": b"shell", b"apply_patch_call": b"apply_patch"}


class ResponsesDecoder:
    """One upstream reply. `frame` takes one event's data; `finish` says that the body ended cleanly."""

    def __init__(self) -> None:
        self.sees_all = True
        self._over = False
        self._started = False
        self._open: list[_Open] = []
        self._items = 0  # begun so far
        self._last = -1  # highest index so far
        self._done = b""  # id of the item that was done last
        self._spot = (-1, -1)  # item and part of the text that was said last
        self._thinking = -1  # item whose thinking was said last, while nothing else was
        self._calls = 0
        self._refused = False

    def skip(self) -> None:
        """A frame was not shown because it is a delta: nothing that is asked of the others depends on it."""

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
        if kind in (b"error", b"response.error") or (not kind and (is_object(read.error) or string(read.error))):
            self._fail(error_event(data), sink)
            return
        if not kind:
            kind = event
        if not kind or kind == b"message":
            self._fail(unreadable(data, NO_TYPE), sink)
            return
        if not self._started and kind.startswith(b"response."):
            self._start(read.response, sink)
        if handler := _HANDLERS.get(kind):
            handler(self, read, sink)
        elif kind in _ENDS:
            self._conclude(kind, read.response, sink)

    def finish(self, sink: Sink) -> None:
        self._fail(ENDED_EARLY, sink)

    def _fail(self, failure: Failure, sink: Sink) -> None:
        if not self._over:
            self._over = True
            sink.fail(failure)

    def _start(self, response: Raw, sink: Sink) -> None:
        self._started = True
        if is_object(response):
            head = decode_head(response)
            sink.start(string(head.id), string(head.model))
        else:
            sink.start(b"", b"")

    def _conclude(self, kind: bytes, response: Raw, sink: Sink) -> None:
        if not self._items and is_object(response):
            for item in objects(decode_head(response).output):
                if not self._over:
                    self._item_done(Event(item=item), sink)
        while self._open and not self._over:
            self._close(self._open.pop(0), sink)
        if self._over:
            return
        self._over = True
        end = judge_end(kind, bytes(response), self._calls > 0, self._refused)
        if end.usage is not None:
            sink.usage(end.usage)
        for name, raw in end.private:
            sink.private(name, raw)
        if end.failure is not None:
            sink.fail(end.failure)
        else:
            sink.stop(end.reason, None)
            sink.end()

    # -- items ---------------------------------------------------------------------------------------------------------

    def _find(self, event: Event) -> _Open | None:
        """By output_index; by item_id where there is none; else the one that began last."""
        index, ident = number(event.output_index), string(event.item_id)
        for item in reversed(self._open):
            if item.index == index if index >= 0 else item.ident == ident if ident else True:
                return item
        return None

    def _begin(self, index: int, kind: bytes, sink: Sink) -> _Open | None:
        if len(self._open) >= MAX_CALLS or (self._calls >= MAX_CALLS and (kind in CALLS or kind in BUILT_IN)):
            self._fail(TOO_MANY_CALLS, sink)
            return None
        index = index if index >= 0 else self._last + 1
        self._last = max(self._last, index)
        item = _Open(self._items, index, kind)
        self._items += 1
        self._open.append(item)
        return item

    def _found(self, event: Event, kind: bytes, sink: Sink) -> _Open | None:
        """The item of a piece; hosts leave out how one begins."""
        item = self._find(event)
        if item is None:
            item = self._begin(number(event.output_index), kind, sink)
            if item is not None:
                item.ident = string(event.item_id)
        return item

    def _item_added(self, event: Event, sink: Sink) -> None:
        if not is_object(event.item):
            return
        read = decode_item(event.item)
        index = number(event.output_index)
        before = next((item for item in self._open if item.index == index), None)
        if before is not None:
            if before.ident == string(read.id):
                return
            self._open.remove(before)
            self._close(before, sink)
        item = self._begin(index, string(read.type), sink)
        if item is None:
            return
        self._take(item, read)
        if item.kind in CALLS and item.name:
            self._begin_call(item, sink)

    def _take(self, item: _Open, read: Item) -> None:
        item.ident = string(read.id) or item.ident
        item.call_id = string(read.call_id) or item.call_id
        if name := string(read.name):
            space = string(read.namespace)
            item.name = in_namespace(space, name) if space else name

    def _item_done(self, event: Event, sink: Sink) -> None:
        if not is_object(event.item):
            return
        read = decode_item(event.item)
        index, ident, kind = number(event.output_index), string(read.id), string(read.type)
        item = self._find(Event(output_index=event.output_index, item_id=read.id) if index >= 0 or ident else event)
        if item is None or (item.kind != kind and index < 0):
            if 0 <= index <= self._last and ident == self._done:
                return  # once more
            item = self._begin(index, kind, sink)
            if item is None:
                return
        self._take(item, read)
        self._open.remove(item)
        self._done = item.ident
        item.kind = kind or item.kind
        self._finish(item, read, event.item, sink)

    def _finish(self, item: _Open, read: Item, raw: Raw, sink: Sink) -> None:
        kind = item.kind
        if kind == b"message":
            for at, part in enumerate(objects(read.content)):
                self._part(item, at, part, sink)
        elif kind == b"reasoning":
            self._finish_reasoning(item, read, sink)
        elif kind in CALLS:
            if item.key < 0:
                self._begin_call(item, sink)
            if not item.fed:
                self._feed_whole(item, read, sink)
            self._close(item, sink)
        elif kind in BUILT_IN and not _hosted(read):
            args = read.operation if kind == b"apply_patch_call" else read.action
            item.name = BUILT_IN[kind]
            self._begin_call(item, sink)
            sink.args(item.key, escaped(bytes(args)) if is_object(args) else b"{}")
        elif kind == b"image_generation_call" and string(read.result):
            sink.private(b"media", image(bytes(raw)))
        else:
            sink.private(kind or b"item", bytes(raw))
            return
        for name, value in unsaid(kind, bytes(raw)):
            sink.private(name, value)

    def _finish_reasoning(self, item: _Open, read: Item, sink: Sink) -> None:
        for at, part in enumerate(objects(read.summary)):
            if at > item.thought:
                self._think(item, SUMMARY, at, string(decode_part(part).text), sink)
        if not item.fed:
            for at, part in enumerate(objects(read.content)):
                self._think(item, WORDS, at, string(decode_part(part).text), sink)
        sealed = opaque(item.ident, string(read.encrypted_content))
        if sealed or item.serial == self._thinking:
            self._thinking = -1
            sink.seal(sealed)

    def _close(self, item: _Open, sink: Sink) -> None:
        """The item ends, with or without a word."""
        if item.kind == b"reasoning":
            if item.serial == self._thinking:
                self._thinking = -1
                sink.seal(b"")
        elif item.kind in CALLS:
            if item.key < 0:
                self._begin_call(item, sink)
            if item.kind == b"custom_tool_call":
                sink.args(item.key, CLOSE if item.fed else OPEN + CLOSE)
            elif not item.fed:
                sink.args(item.key, b"{}")
        elif item.kind != b"message":
            sink.private(item.kind or b"item", b"null")

    # -- texts ---------------------------------------------------------------------------------------------------------

    def _say(self, item: _Open, at: int, span: bytes, sink: Sink) -> None:
        if span:
            spot = (item.serial, at)
            if self._spot != spot:
                if self._spot[0] >= 0:
                    sink.text(b"")  # another text, not more of the same
                self._spot = spot
            self._thinking = -1
            item.said = max(item.said, at)
            sink.text(span)

    def _refuse(self, item: _Open, at: int, span: bytes, sink: Sink) -> None:
        self._refused = True
        if span:
            self._thinking = -1
            item.said = max(item.said, at)
            sink.refusal(span)

    def _think(self, item: _Open, sort: int, at: int, span: bytes, sink: Sink) -> None:
        if span:
            if item.fed and item.spot != (sort, at):
                sink.thinking(BREAK)
            item.fed, item.spot = True, (sort, at)
            if sort == SUMMARY:
                item.thought = max(item.thought, at)
            else:
                item.said = max(item.said, at)
            self._thinking = item.serial
            sink.thinking(span)

    def _part(self, item: _Open, at: int, raw: Raw, sink: Sink) -> None:
        """A finished part: what was not said of it yet."""
        part = decode_part(raw)
        kind, fresh = string(part.type), at > item.said
        if kind in (b"output_text", b"text"):
            if fresh:
                self._say(item, at, string(part.text), sink)
                self._probe(part.logprobs, sink)
            if at > item.noted:
                for note in objects(part.annotations):
                    item.noted = at
                    sink.private(*annotation(bytes(note)))
        elif kind == b"refusal":
            self._refused = True
            if fresh:
                self._refuse(item, at, string(part.refusal), sink)
        elif kind == b"reasoning_text":
            if fresh:
                self._think(item, WORDS, at, string(part.text), sink)
        elif fresh and kind != b"summary_text":
            item.said = at
            sink.private(b"content." + (kind or b"part"), bytes(raw))

    def _probe(self, raw: Raw, sink: Sink) -> None:
        if objects(raw):
            sink.private(b"logprobs", bytes(raw))

    def _text_delta(self, event: Event, sink: Sink) -> None:
        if item := self._found(event, b"message", sink):
            self._say(item, _at(event.content_index), string(event.delta), sink)
            self._probe(event.logprobs, sink)

    def _text_done(self, event: Event, sink: Sink) -> None:
        item, at = self._found(event, b"message", sink), _at(event.content_index)
        if item is not None and at > item.said:
            self._say(item, at, string(event.text), sink)
            self._probe(event.logprobs, sink)

    def _refusal_delta(self, event: Event, sink: Sink) -> None:
        if item := self._found(event, b"message", sink):
            self._refuse(item, _at(event.content_index), string(event.delta), sink)

    def _refusal_done(self, event: Event, sink: Sink) -> None:
        item, at = self._found(event, b"message", sink), _at(event.content_index)
        if item is not None:
            self._refuse(item, at, string(event.refusal) if at > item.said else b"", sink)

    def _part_done(self, event: Event, sink: Sink) -> None:
        if is_object(event.part) and (item := self._found(event, b"message", sink)):
            self._part(item, _at(event.content_index), event.part, sink)

    def _annotation(self, event: Event, sink: Sink) -> None:
        if is_object(event.annotation) and (item := self._found(event, b"message", sink)):
            item.noted = max(item.noted, _at(event.content_index))
            sink.private(*annotation(bytes(event.annotation)))

    def _summary_delta(self, event: Event, sink: Sink) -> None:
        if item := self._found(event, b"reasoning", sink):
            self._think(item, SUMMARY, _at(event.summary_index), string(event.delta), sink)

    def _summary_done(self, event: Event, sink: Sink) -> None:
        """The text of a part, or the part itself."""
        item, at = self._found(event, b"reasoning", sink), _at(event.summary_index)
        if item is not None and at > item.thought:
            part = string(decode_part(event.part).text) if is_object(event.part) else b""
            self._think(item, SUMMARY, at, string(event.text) or part, sink)

    def _words_delta(self, event: Event, sink: Sink) -> None:
        if item := self._found(event, b"reasoning", sink):
            self._think(item, WORDS, _at(event.content_index), string(event.delta), sink)

    def _words_done(self, event: Event, sink: Sink) -> None:
        item, at = self._found(event, b"reasoning", sink), _at(event.content_index)
        if item is not None and at > item.said:
            self._think(item, WORDS, at, string(event.text), sink)

    # -- sounds --------------------------------------------------------------------------------------------------------

    def _sound(self, event: Event, sink: Sink) -> None:
        if span := string(event.delta):
            self._thinking = -1
            sink.private(b"media", media(SAMPLES, span))

    def _spoken(self, event: Event, sink: Sink) -> None:
        """The words of the sound."""
        if span := string(event.delta):
            self._thinking = -1
            sink.text(span)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _begin_call(self, item: _Open, sink: Sink) -> None:
        self._thinking = -1
        item.key = self._calls
        self._calls += 1
        sink.tool(item.key, item.call_id or item.ident, item.name)

    def _feed(self, item: _Open, span: bytes, sink: Sink) -> None:
        if span:
            if item.key < 0:
                self._begin_call(item, sink)
            if item.kind == b"custom_tool_call":
                if not item.fed:
                    sink.args(item.key, OPEN)
                span = deeper(span)
            item.fed = True
            sink.args(item.key, span)

    def _feed_whole(self, item: _Open, read: Item, sink: Sink) -> None:
        given = read.input if item.kind == b"custom_tool_call" else read.arguments
        self._feed(item, escaped(bytes(given)) if is_object(given) else string(given), sink)

    def _args(self, event: Event, sink: Sink) -> None:
        item = self._find(event)
        if item is None or item.kind not in CALLS:
            if self.sees_all:
                self._fail(NO_ITEM, sink)
        else:
            self._feed(item, string(event.delta), sink)

    def _args_done(self, event: Event, sink: Sink) -> None:
        item = self._find(event)
        if item is not None and item.kind in CALLS and item.key >= 0 and not item.fed:
            self._feed(item, string(event.input if item.kind == b"custom_tool_call" else event.arguments), sink)


def _at(raw: Raw) -> int:
    return max(number(raw), 0)


def _hosted(read: Item) -> bool:
    """A shell in a container of OpenAI's, which runs the call itself."""
    return b"container" in bytes(read.environment)[:48]


_ENDS: Final = (b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled")
_HANDLERS: Final[dict[bytes, Callable[[ResponsesDecoder, Event, Sink], None]]] = {
    b"response.output_item.added": ResponsesDecoder._item_added,
    b"response.output_item.done": ResponsesDecoder._item_done,
    b"response.content_part.done": ResponsesDecoder._part_done,
    b"response.output_text.delta": ResponsesDecoder._text_delta,
    b"response.output_text.done": ResponsesDecoder._text_done,
    b"response.output_text.annotation.added": ResponsesDecoder._annotation,
    b"response.refusal.delta": ResponsesDecoder._refusal_delta,
    b"response.refusal.done": ResponsesDecoder._refusal_done,
    b"response.reasoning_summary_text.delta": ResponsesDecoder._summary_delta,
    b"response.reasoning_summary_text.done": ResponsesDecoder._summary_done,
    b"response.reasoning_summary_part.done": ResponsesDecoder._summary_done,
    b"response.reasoning_text.delta": ResponsesDecoder._words_delta,
    b"response.reasoning_text.done": ResponsesDecoder._words_done,
    b"response.audio.delta": ResponsesDecoder._sound,
    b"response.audio.transcript.delta": ResponsesDecoder._spoken,
    b"response.function_call_arguments.delta": ResponsesDecoder._args,
    b"response.function_call_arguments.done": ResponsesDecoder._args_done,
    b"response.custom_tool_call_input.delta": ResponsesDecoder._args,
    b"response.custom_tool_call_input.done": ResponsesDecoder._args_done,
}
