"""An OpenAI Responses stream as it is written, but for its deltas: items as they begin and end. Knows no order.

One source for both twins of the encoder. These write the pieces of an open item themselves (`head`, number, `middle`, span,
`tail`), count `number` up for each, and hand in the whole text when the item is done: the API says everything three times, as
deltas, as finished parts and items, and all together in the end.

Texts and refusals that follow one another are the parts of one message, which stays open until something else begins.
"""

from __future__ import annotations

from typing import Final

from anyllm_fast.dialects.citations import annotation_of, length_of
from anyllm_fast.dialects.openai_responses_ends import event, write_end, write_failed, write_start
from anyllm_fast.dialects.openai_responses_items_out import (
    ORIGIN,
    call_kind,
    encrypted,
    encrypted_redacted,
    incomplete_reason,
    item_id,
    name_members,
    one_line,
    raw_args,
    write_call,
    write_media,
    write_message,
    write_reasoning,
    write_refusal_part,
    write_summary_part,
    write_text_part,
)
from anyllm_fast.dialects.openai_responses_reply import OWN_ITEMS, flat_annotation
from anyllm_fast.dialects.order import REFUSAL, TEXT, THINKING
from anyllm_fast.neutral.custom_tools import input_of
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

_DELTA: Final = b'event: %b\ndata: {"type":"%b","sequence_number":'
_PLACE: Final = b'"item_id":"%b","output_index":%d'
_TEXT_TAIL: Final = b'","logprobs":[]}\n\n'
_TAIL: Final = b'"}\n\n'


class Writer:
    """Methods return whole events. `number` is that of the next one."""

    def __init__(self, options: StreamOptions) -> None:
        self.number = 0
        self.head = self.middle = self.tail = b""
        self.pieces = False  # the open call's arguments are written as they come
        self._options = options
        self._items: list[bytes] = []  # finished ones
        self._ident = b""  # of the open item
        self._parts: list[bytes] | None = None  # finished ones of the open message
        self._annotations: list[bytes] = []  # of the open text
        self._waiting: list[tuple[bytes, bytes]] = []  # citations and annotations of the text that is to come, or to end
        self._logprobs: list[bytes] = []
        self._summary = False  # the open thinking has a summary part
        self._proof = b""
        self._call: tuple[bytes, bytes, ToolForm | None] = (b"", b"", None)
        self._refused = False

    def start(self) -> bytes:
        self.number = 2
        return write_start(self._options)

    # -- texts ---------------------------------------------------------------------------------------------------------

    def open(self, kind: int) -> bytes:
        """A block of text, refusal or thinking begins. A summary has its own beginning, `open_summary`."""
        if kind == THINKING:
            out = self.end_message(b"completed") + self._begin("reasoning", b'{"id":"%b","type":"reasoning","summary":[]}')
            self._summary, self._proof = False, b""
            return out
        out = b""
        if self._parts is None:
            self._parts = []
            out = self._begin("message", b'{"id":"%b","type":"message","status":"in_progress","role":"assistant","content":[]}')
        part = write_refusal_part(b"") if kind == REFUSAL else write_text_part(b"", [], [])
        self._annotations, self._logprobs = [], []
        out += self._event(b"response.content_part.added", b'%b,"part":%b' % (self._spot(), part))
        delta = b"response.refusal.delta" if kind == REFUSAL else b"response.output_text.delta"
        self._aim(delta, self._spot(), _TAIL if kind == REFUSAL else _TEXT_TAIL)
        return out

    def open_summary(self) -> bytes:
        """Before the first piece of thinking."""
        self._summary = True
        spot = self._place() + b',"summary_index":0'
        self._aim(b"response.reasoning_summary_text.delta", spot, _TAIL)
        return self._event(b"response.reasoning_summary_part.added", b'%b,"part":%b' % (spot, write_summary_part(b"")))

    def seal(self, opaque: bytes) -> None:
        self._proof = encrypted(self._options, opaque)

    def close(self, kind: int, text: bytes) -> bytes:
        """The open block ends; `text` is all of it."""
        if kind == THINKING:
            return self._close_thinking(text)
        if kind == REFUSAL:
            self._refused = True
            part = write_refusal_part(text)
            out = self._event(b"response.refusal.done", b'%b,"refusal":"%b"' % (self._spot(), text))
        else:
            out = self._settle(text)
            part = write_text_part(text, self._annotations, self._logprobs)
            logprobs = b",".join(raw.strip()[1:-1] for raw in self._logprobs)
            done = b'%b,"text":"%b","logprobs":[%b]' % (self._spot(), text, logprobs)
            out += self._event(b"response.output_text.done", done)
        out += self._event(b"response.content_part.done", b'%b,"part":%b' % (self._spot(), part))
        assert self._parts is not None  # noqa: S101 - for the type checker
        self._parts.append(part)
        return out

    def _close_thinking(self, text: bytes) -> bytes:
        out = b""
        if self._summary:
            spot = self._place() + b',"summary_index":0'
            out = self._event(b"response.reasoning_summary_text.done", b'%b,"text":"%b"' % (spot, text))
            out += self._event(b"response.reasoning_summary_part.done", b'%b,"part":%b' % (spot, write_summary_part(text)))
        return out + self._finish(write_reasoning(self._ident, text, self._proof))

    def end_message(self, status: bytes) -> bytes:
        """The open message ends, if there is one."""
        if self._parts is None:
            return b""
        parts, self._parts = self._parts, None
        return self._finish(write_message(self._ident, parts, status))

    def redacted(self, data: bytes) -> bytes:
        ident = item_id("reasoning", self._options, len(self._items) + (self._parts is not None))
        return self._whole(write_reasoning(ident, b"", encrypted_redacted(self._options, data)))

    # -- about a text --------------------------------------------------------------------------------------------------

    def note(self, kind: int, name: bytes, raw: bytes) -> bytes | None:
        """A citation or an annotation, `kind` being what is open. A citation says nothing of where it is, so it waits until its
        text is whole. None for what this dialect cannot say."""
        if name == b"annotation":
            flat = flat_annotation(raw)
            if flat is None:
                return None
            if kind == TEXT:
                return self._annotate(flat)
        elif annotation_of(raw, 0, 0) is None:
            return None
        self._waiting.append((name, raw))
        return b""

    def forgotten(self) -> list[bytes]:
        """Names of what waited for a text that never came."""
        return [name for name, _ in self._waiting]

    def _settle(self, text: bytes) -> bytes:
        waiting, self._waiting = self._waiting, []
        out = b""
        for name, raw in waiting:
            nested = raw if name == b"annotation" else annotation_of(raw, 0, length_of(text))
            flat = flat_annotation(nested) if nested else None
            out += self._annotate(flat) if flat else b""
        return out

    def _annotate(self, flat: bytes) -> bytes:
        flat = one_line(flat)
        members = b'%b,"annotation_index":%d,"annotation":%b' % (self._spot(), len(self._annotations), flat)
        self._annotations.append(flat)
        return self._event(b"response.output_text.annotation.added", members)

    def logprobs(self, raw: bytes) -> bytes | None:
        """Of the text that is open: a delta without text. None for what is no array."""
        raw = one_line(raw)
        if raw[:1] != b"[":
            return None
        self._logprobs.append(raw)
        return self._event(b"response.output_text.delta", b'%b,"delta":"","logprobs":%b' % (self._spot(), raw))

    # -- calls ---------------------------------------------------------------------------------------------------------

    def open_call(self, ident: bytes, name: bytes) -> bytes:
        form = self._options.forms.get(name)
        self._call = ident, name, form
        out = self.end_message(b"completed")
        self.pieces = form is None or form.kind == "namespaced"
        if self.pieces:
            empty = b'{"id":"%b","type":"function_call","status":"in_progress","arguments":"","call_id":"%b",%b}'
            out += self._begin("function", empty, ident, name_members(name, form))
            self._aim(b"response.function_call_arguments.delta", self._place(), _TAIL)
        elif form is not None and form.kind == "custom":
            empty = b'{"id":"%b","type":"custom_tool_call","status":"in_progress","call_id":"%b","input":"",%b}'
            out += self._begin("custom", empty, ident, name_members(name, form))
        return out

    def close_call(self, args: bytes, whole: bool) -> bytes:
        """The open call ends; `args` are all its arguments (span), `whole` if these are complete JSON."""
        form = self._call[2]
        status = b"completed" if whole or not args else b"incomplete"
        if self.pieces:
            out = b"" if args else self.head + b"%d" % self.number + self.middle + b"{}" + self.tail
            self.number += not args
            args = args or b"{}"
            done = b'%b,"arguments":"%b","name":"%b"' % (self._place(), args, self._call[1] if form is None else form.name)
            out += self._event(b"response.function_call_arguments.done", done)
            return out + self._finish(write_call(self._ident, self._call, args, status))
        if form is not None and form.kind == "custom":
            text = input_of(raw_args(args))
            out = self._event(b"response.custom_tool_call_input.delta", b'%b,"delta":"%b"' % (self._place(), text))
            out += self._event(b"response.custom_tool_call_input.done", b'%b,"input":"%b"' % (self._place(), text))
            return out + self._finish(write_call(self._ident, self._call, args, status))
        kind = call_kind(form, raw_args(args))
        if kind != "function":
            return self._whole(write_call(item_id(kind, self._options, len(self._items)), self._call, args, status))
        return self._unfit(args, status)

    def _unfit(self, args: bytes, status: bytes) -> bytes:
        """A built-in tool's call whose arguments are no object: as the function that the model took it for."""
        ident, name, form = self._call
        empty = b'{"id":"%b","type":"function_call","status":"in_progress","arguments":"","call_id":"%b",%b}'
        out = self._begin("function", empty, ident, name_members(name, form))
        for kind, member in (
            (b"response.function_call_arguments.delta", b"delta"),
            (b"response.function_call_arguments.done", b"arguments"),
        ):
            out += self._event(kind, b'%b,"%b":"%b"' % (self._place(), member, args))
        return out + self._finish(write_call(self._ident, self._call, args, status))

    # -- other items ---------------------------------------------------------------------------------------------------

    def is_item(self, name: bytes, raw: bytes) -> bool:
        """Whether something private is an item: a generated image, or one of OpenAI's own (others have the same names)."""
        if name == b"media":
            return write_media(b"", raw) is not None
        return self._options.origin == ORIGIN and name in OWN_ITEMS and raw[:1] == b"{"

    def item(self, name: bytes, raw: bytes) -> bytes:
        """That item, whole. Nothing but a message may be open."""
        if name != b"media":
            return self._whole(one_line(raw))
        place = len(self._items) + (self._parts is not None)
        return self._whole(write_media(item_id("image", self._options, place), raw) or b"")

    # -- the end -------------------------------------------------------------------------------------------------------

    def stop(self, reason: StopReason) -> bytes:
        return self.end_message(b"incomplete" if incomplete_reason(reason, self._refused) else b"completed")

    def end(self, reason: StopReason, counts: Usage) -> bytes:
        return write_end(self._options, self.number, b",".join(self._items), (reason, self._refused, counts))

    def failed(self, counts: Usage, failure: Failure) -> bytes:
        return write_failed(self._options, self.number, counts, failure)

    # -- events --------------------------------------------------------------------------------------------------------

    def _event(self, kind: bytes, members: bytes) -> bytes:
        self.number += 1
        return event(kind, self.number - 1, members)

    def _place(self) -> bytes:
        return _PLACE % (self._ident, len(self._items))

    def _spot(self) -> bytes:
        return b'%b,"content_index":%d' % (self._place(), len(self._parts or ()))

    def _aim(self, kind: bytes, spot: bytes, tail: bytes) -> None:
        self.head, self.middle, self.tail = _DELTA % (kind, kind), b',%b,"delta":"' % spot, tail

    def _begin(self, kind: str, empty: bytes, *members: bytes) -> bytes:
        """`empty` is the item as it begins, a format for its id and `members`."""
        self._ident = item_id(kind, self._options, len(self._items))
        return self._added(empty % (self._ident, *members))

    def _added(self, item: bytes) -> bytes:
        return self._event(b"response.output_item.added", b'"output_index":%d,"item":%b' % (len(self._items), item))

    def _finish(self, item: bytes) -> bytes:
        out = self._event(b"response.output_item.done", b'"output_index":%d,"item":%b' % (len(self._items), item))
        self._items.append(item)
        return out

    def _whole(self, item: bytes) -> bytes:
        """An item that begins and ends at once."""
        return self.end_message(b"completed") + self._added(item) + self._finish(item)
