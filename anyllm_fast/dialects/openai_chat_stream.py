"""Streams of OpenAI Chat Completions: chunks to Sink events and Sink events to chunks. Knows no framing and no other dialect.

`ChatDecoder` and `ChatEncoder` are the Python twins of native/openai_chat.pxi and give the same bytes.

Hosts that call themselves compatible agree on little: see openai_chat_chunk.py for the shapes and openai_chat_calls.py for calls.
finish_reason is kept until the stream ends: usage comes after it, and at some hosts so do calls.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.citations import annotation_of, length_of
from anyllm_fast.dialects.media import SAMPLES, media, read_image
from anyllm_fast.dialects.openai_chat_calls import LEGACY, NO_INDEX, Calls
from anyllm_fast.dialects.openai_chat_chunk import (
    Block,
    Call,
    Choice,
    Chunk,
    Delta,
    count,
    decode_audio,
    decode_block,
    decode_call,
    decode_function,
    decode_logprobs,
    decode_part,
    is_error,
    read_chunk,
    usage_in,
)
from anyllm_fast.dialects.openai_chat_custom import CustomCalls, write_custom_call
from anyllm_fast.dialects.openai_chat_ends import (
    DONE,
    ENDED_EARLY,
    SEED,
    chunk_head,
    foreign,
    judge_stop,
    write_failure,
    write_logprobs,
    write_media,
    write_stop,
    write_usage_chunk,
)
from anyllm_fast.dialects.openai_chat_reply import ORIGIN
from anyllm_fast.dialects.order import REFUSAL, TEXT, THINKING, Ordered
from anyllm_fast.dialects.repair import ABSENT, Malformed, in_stream_error, is_object, number, objects, string, unreadable
from anyllm_fast.neutral.signatures import tagged
from anyllm_fast.neutral.spans import escaped
from anyllm_fast.neutral.stream import Failure, Sink, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.wire.pipe import Watched
from anyllm_fast.wire.sse import BARE

WHITE: Final = b" \t\r\n"


class ChatDecoder:
    """One upstream reply. `frame` takes one event's data; `finish` says that the body ended cleanly."""

    def __init__(self) -> None:
        self._over = False
        self._started = False
        self._came = False
        self._refused = False
        self.sees_all = True
        self._others = False
        self._origin = b""  # mark of the plain reasoning that is open
        self._block = -1  # index of the entry of thinking_blocks that is open
        self._finish = b""
        self._matched: bytes | None = None
        self._calls = Calls()
        self._counts = Usage()

    def skip(self) -> None:
        """A frame was not shown because it is an ordinary delta: something came."""
        self._came = True

    def frame(self, event: bytes, data: bytes, sink: Sink) -> None:
        data = data.strip(WHITE)
        if self._over or not data:
            return
        if data == b"[DONE]":
            self._conclude(sink)
            return
        if event == b"error":
            self._fail(in_stream_error(data), sink)
            return
        try:
            chunk = read_chunk(data)
        except Malformed as error:
            self._fail(unreadable(data, str(error)), sink)
            return
        if is_error(chunk):
            self._fail(in_stream_error(data), sink)
            return
        if not self._started:
            self._started = True
            self._calls.seed = data[:SEED]
            sink.start(string(chunk.id), string(chunk.model))
        self._read(chunk, sink)

    def finish(self, sink: Sink) -> None:
        """Hosts leave out [DONE]; a reply that said why it stopped is complete all the same."""
        if self._over:
            return
        if self._finish:
            self._conclude(sink)
        else:
            self._fail(ENDED_EARLY, sink)

    def _fail(self, failure: Failure, sink: Sink) -> None:
        if not self._over:
            self._over = True
            sink.fail(failure)

    def _conclude(self, sink: Sink) -> None:
        self._over = True
        self._settle(sink)
        self._calls.begin_rest(sink)
        calls = self._calls.begun if self.sees_all else -1
        came = self._came or self._calls.begun > 0
        verdict = judge_stop(self._finish, self._matched, calls, self._refused, came)
        if isinstance(verdict, Failure):
            sink.fail(verdict)
        else:
            sink.stop(*verdict)
            sink.end()

    def _read(self, chunk: Chunk, sink: Sink) -> None:
        choice = self._first(chunk.choices, sink) if chunk.choices else None
        if usage := usage_in(chunk, choice):
            self._counts = count(usage, self._counts)
            sink.usage(self._counts)
        if is_object(chunk.moderation):
            sink.private(b"moderation", bytes(chunk.moderation))
        if choice is None:
            return
        if choice.delta is not None:
            self._read_delta(choice.delta, sink)
        if is_object(choice.logprobs):
            self._read_logprobs(choice.logprobs, sink)
        if finish := string(choice.finish_reason):
            self._finish = finish
        if matched := string(choice.stop_reason) or string(choice.matched_stop):
            self._matched = matched

    def _first(self, choices: list[Choice], sink: Sink) -> Choice | None:
        """Choice 0; where choices have no index, the first one. The others are lost, which is said once."""
        first = None
        for place, choice in enumerate(choices):
            index = number(choice.index)
            if first is None and (index == 0 or (index < 0 and place == 0)):
                first = choice
            elif not self._others:
                self._others = True
                sink.private(b"choices", b"null")
        return first

    # -- content -------------------------------------------------------------------------------------------------------

    def _read_delta(self, delta: Delta, sink: Sink) -> None:
        self._read_thoughts(delta, sink)
        if delta.content is not ABSENT:
            content = bytes(delta.content)
            if content[:1] == b"[":
                for raw in objects(delta.content):
                    self._read_part(raw, sink)
            else:
                self._say(string(delta.content), sink)
        if delta.refusal is not ABSENT:
            self._refuse(string(delta.refusal), sink)
        for raw in objects(delta.tool_calls) if delta.tool_calls is not ABSENT else ():
            call = decode_call(raw)
            index = number(call.index)
            self._read_call(NO_INDEX if index < 0 else index, call, sink)
        if is_object(delta.function_call):
            self._read_call(LEGACY, Call(function=delta.function_call), sink)
        for raw in objects(delta.annotations) if delta.annotations is not ABSENT else ():
            sink.private(b"annotation", bytes(raw))
        for raw in objects(delta.images) if delta.images is not ABSENT else ():
            self._read_image(raw, sink)
        if is_object(delta.audio):
            self._read_audio(delta.audio, sink)

    def _read_logprobs(self, raw: Raw, sink: Sink) -> None:
        said = decode_logprobs(raw)
        for name, tokens in ((b"logprobs", said.content), (b"logprobs.refusal", said.refusal)):
            if objects(tokens):
                sink.private(name, bytes(tokens))

    def _read_image(self, raw: Raw, sink: Sink) -> None:
        """A generated picture; one that only has an address goes as the Markdown of it."""
        shown, url = read_image(raw)
        if shown:
            self._show(shown, sink)
        elif url:
            self._say(b"![image](%b)" % url, sink)

    def _read_audio(self, raw: Raw, sink: Sink) -> None:
        """What is said as text, and the samples that it sounds like."""
        audio = decode_audio(raw)
        self._say(string(audio.transcript), sink)
        if data := string(audio.data):
            self._show(media(SAMPLES, data), sink)

    def _show(self, shown: bytes, sink: Sink) -> None:
        self._settle(sink)
        self._came = True
        sink.private(b"media", shown)

    def _say(self, span: bytes, sink: Sink) -> None:
        if span:
            self._settle(sink)
            self._came = True
            sink.text(span)

    def _refuse(self, span: bytes, sink: Sink) -> None:
        if span:
            self._settle(sink)
            self._came = self._refused = True
            sink.refusal(span)

    def _read_part(self, raw: Raw, sink: Sink) -> None:
        """Content in parts: hosts with several modalities, and Mistral when it thinks."""
        part = decode_part(raw)
        kind = string(part.type)
        if kind in (b"text", b"output_text"):
            self._say(string(part.text), sink)
        elif kind == b"refusal":
            self._refuse(string(part.refusal), sink)
        elif kind == b"thinking":
            spans = [string(decode_part(text).text) for text in objects(part.thinking)]
            for span in [string(part.thinking), *spans]:
                self._think(ORIGIN + b"thinking", span, sink)
        else:
            self._settle(sink)
            self._came = True
            sink.private(b"content." + (kind or b"part"), bytes(raw))

    def _read_thoughts(self, delta: Delta, sink: Sink) -> None:
        """Reasoning under the names it has. Where one chunk says it twice, the form with more in it is taken."""
        blocks = []
        if delta.thinking_blocks is not ABSENT:
            blocks = [decode_block(raw) for raw in objects(delta.thinking_blocks)]
        said = any(string(block.thinking) for block in blocks)
        for name, raw in (
            (b"reasoning_content", delta.reasoning_content),
            (b"reasoning", delta.reasoning),
            (b"thinking", delta.thinking),
        ):
            if not said and raw is not ABSENT and (span := string(raw)):
                said = True
                self._think(ORIGIN + name, span, sink)
        for block in blocks:
            self._read_block(block, sink)
        if delta.reasoning_details is not ABSENT:
            self._read_details(objects(delta.reasoning_details), said, sink)

    def _read_block(self, block: Block, sink: Sink) -> None:
        if data := string(block.data):
            self._settle(sink)
            self._came = True
            sink.redacted(data)
        if span := string(block.thinking):
            index = number(block.index)
            if 0 <= self._block != index >= 0:
                sink.seal(b"")
            self._think(b"", span, sink)
            self._block = index
        if signature := string(block.signature):
            self._seal(signature, sink)

    def _read_details(self, details: list[Raw], said: bool, sink: Sink) -> None:
        """OpenRouter's form: the text beside `reasoning`, and what only it has: signatures and encrypted reasoning."""
        for raw in details:
            detail = decode_block(raw)
            if not said:
                self._think(ORIGIN + b"reasoning", string(detail.text) or string(detail.summary), sink)
            if signature := string(detail.signature):
                self._seal(signature, sink)
            if string(detail.data):
                self._end_thought(sink)
                sink.private(b"reasoning_details", bytes(raw))

    def _think(self, mark: bytes, span: bytes, sink: Sink) -> None:
        if span:
            if self._origin != mark:
                self._end_thought(sink)
                self._origin = mark
            if self._calls.waiting:
                self._calls.begin_named(sink)
            self._came = True
            sink.thinking(span)

    def _seal(self, signature: bytes, sink: Sink) -> None:
        self._came = True
        self._origin, self._block = b"", -1
        sink.seal(signature)

    def _end_thought(self, sink: Sink) -> None:
        self._block = -1
        if self._origin:
            sink.seal(self._origin)
            self._origin = b""

    def _settle(self, sink: Sink) -> None:
        """Something else comes: plain reasoning gets its mark, and calls that wait for an id begin without one."""
        self._end_thought(sink)
        if self._calls.waiting:
            self._calls.begin_named(sink)

    def _read_call(self, index: int, call: Call, sink: Sink) -> None:
        ident, name, args = string(call.id), b"", b""
        custom = is_object(call.custom) or string(call.type) == b"custom"
        if is_object(call.custom):
            wire = decode_function(call.custom)
            name, args = string(wire.name), string(wire.input)
        elif is_object(call.function):
            wire = decode_function(call.function)
            name = string(wire.name)
            args = escaped(bytes(wire.arguments)) if is_object(wire.arguments) else string(wire.arguments)
        if self._over:
            return
        slot = self._calls.find(index, ident, name, args)
        if slot is None:
            self._settle(sink)
            added = self._calls.add(index)
            if isinstance(added, Failure):
                self._fail(added, sink)
                return
            slot = added
            slot.custom = custom
        if failure := self._calls.feed(slot, ident, name, args, sink):
            self._fail(failure, sink)


class ChatEncoder(Ordered):
    """Chunks for one client. Calls interleave in this dialect, so nothing is ever held.

    Thinking goes out twice: as reasoning_content for those who show it, and as thinking_blocks (LiteLLM's form) for those who
    send it back signed. Their `index` is for the SDK, which merges list entries by it.
    """

    interleaves = True

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self._options = options
        self._origin = foreign(options.origin)
        self._custom = CustomCalls(options.forms) if options.forms else None
        self._images = 0
        self._head = chunk_head(options)
        self._delta = self._head + b'"choices":[{"index":0,"delta":{'
        self._thought = 0  # entries of thinking_blocks so far
        self._length = 0  # characters of content so far
        self._began = 0  # where in them the open text began
        self._citations: list[bytes] = []
        self._annotations = 0
        self._refused = False

    def _put(self, delta: bytes) -> None:
        self._out += (self._delta, delta, b'},"logprobs":null,"finish_reason":null}]}\n\n')

    def _write_start(self) -> None:
        self._put(b'"role":"assistant","content":"","refusal":null')

    def _write_open(self, kind: int) -> None:
        if kind == TEXT:
            self._began = self._length
        elif kind == REFUSAL:
            self._refused = True

    def _write_piece(self, kind: int, span: bytes) -> None:
        if kind == TEXT:
            self._length += length_of(span)
            self._put(b'"content":"%b"' % span)
        elif kind == REFUSAL:
            self._put(b'"refusal":"%b"' % span)
        else:
            block = b'{"index":%d,"type":"thinking","thinking":"%b"}' % (self._thought, span)
            self._put(b'"reasoning_content":"%b","thinking_blocks":[%b]' % (span, block))

    def _write_seal(self, signature: bytes) -> None:
        block = b'{"index":%d,"type":"thinking","thinking":"","signature":"%b"}'
        self._put(b'"thinking_blocks":[%b]' % (block % (self._thought, tagged(self._origin, signature))))

    def _write_close(self, kind: int) -> None:
        if kind == THINKING:
            self._thought += 1
        elif kind == TEXT:
            self._write_citations(self._began)

    def _write_redacted(self, data: bytes) -> None:
        data = tagged(self._origin, data)
        self._put(b'"thinking_blocks":[{"index":%d,"type":"redacted_thinking","data":"%b"}]' % (self._thought, data))
        self._thought += 1

    def _write_call(self, count: int, ident: bytes, name: bytes) -> None:
        if self._custom is not None and self._custom.begin(count, name):
            self._put(b'"tool_calls":[%b]' % write_custom_call(count, ident, name))
            return
        self._put(
            b'"tool_calls":[{"index":%d,"id":"%b","type":"function","function":{"name":"%b","arguments":""}}]'
            % (count, ident, name)
        )

    def _write_args(self, count: int, span: bytes) -> None:
        if self._custom is not None and self._custom.has(count):
            said = self._custom.feed(count, span)
            if isinstance(said, Failure):
                self.fail(said)
            elif said:
                self._put(b'"tool_calls":[%b]' % said)
            return
        self._put(b'"tool_calls":[{"index":%d,"function":{"arguments":"%b"}}]' % (count, span))

    def _carry(self, name: bytes, raw: bytes) -> bool:
        if name == b"citation":
            self._citations.append(raw)
            return True
        if name == b"annotation" and raw[:2] == b'{"':
            self._turn_to(self._open)
            self._write_annotation(raw)
            return True
        if name in (b"logprobs", b"logprobs.refusal") and raw[:1] == b"[":
            self._turn_to(self._open)
            self._out += (self._head, write_logprobs(name, raw))
            return True
        return name == b"media" and self._write_media(raw)

    def _write_media(self, raw: bytes) -> bool:
        delta = write_media(raw, self._images, self._options)
        if not delta:
            return False
        self._turn_to(self._open)
        self._put(delta)
        self._images += 1
        return True

    def _write_citations(self, began: int) -> None:
        """The citations of a text, once it is known where it ends."""
        citations, self._citations = self._citations, []
        for citation in citations:
            if annotation := annotation_of(citation, began, self._length):
                self._write_annotation(annotation)
            else:
                self._lose(b"citation")

    def _write_annotation(self, raw: bytes) -> None:
        self._put(b'"annotations":[{"index":%d,%b]' % (self._annotations, raw[1:]))
        self._annotations += 1

    def _write_stop(self, reason: StopReason, sequence: bytes | None) -> None:
        if self._custom is not None:
            for said in self._custom.rest():
                self._put(b'"tool_calls":[%b]' % said)
        self._write_citations(self._length)
        self._out.append(write_stop(self._head, reason, sequence, self._refused))

    def _write_end(self) -> None:
        if self._options.include_usage and self.counts.known:
            self._out.append(write_usage_chunk(self._head, self.counts))
        self._out.append(DONE)

    def _write_failure(self, failure: Failure) -> None:
        self._out.append(write_failure(failure))


# -- the bypass --------------------------------------------------------------------------------------------------------

_TELLING: Final = re.compile(rb'"(?:usage|finish_reason)"[ \t\r\n]*:(?![ \t\r\n]*null)|"error"(?![ \t\r\n]*:[ \t\r\n]*null)')


def _is_plain(event: bytes, data: bytes, committed: bool) -> bool:
    """A chunk with choices that says nothing about usage, the end or an error. The first that commits is read."""
    return committed and event != b"error" and b'"choices"' in data and not _TELLING.search(data)


def _is_error(event: bytes, data: bytes) -> bool:
    """SDKs raise for a top-level `error`, in any form but an empty one; for one that is no event of the stream they do not."""
    if event == BARE:
        return False
    try:
        chunk = read_chunk(data)
    except Malformed:
        return False
    return is_object(chunk.error) or bool(string(chunk.error))


WATCHED: Final = Watched(ChatDecoder, _is_plain, _is_error, write_failure, DONE)
