"""Streams of Gemini generateContent: chunks to Sink events and Sink events to chunks. Knows no framing and no other dialect.

`GeminiDecoder` and `GeminiEncoder` are the Python twins of native/gemini.pxi and give the same bytes.

Every chunk is a small whole reply: parts that go on with the ones before, counts that are those of all so far. There is no
terminator: a reply is complete when the body ends and a finishReason has been seen, or a call, or that the prompt was blocked. So
the stop is said at the end, and what is said about the text (sources) just before it. A signature on a text is kept back until
something else comes, because sources are about the text before it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects import gemini_ends as ends
from anyllm_fast.dialects.gemini_event import Candidate, Chunk, Lost, Part, Tokens, count, read_chunk
from anyllm_fast.dialects.gemini_notes import SAID_MAX, Notes, read_logprobs, read_notes
from anyllm_fast.dialects.gemini_partial import PartialCall, read_call
from anyllm_fast.dialects.gemini_signature import CALL as SIGNED_CALL
from anyllm_fast.dialects.gemini_signature import MEDIA as SIGNED_MEDIA
from anyllm_fast.dialects.gemini_signature import NAME as ORIGIN
from anyllm_fast.dialects.gemini_signature import TEXT as SIGNED_TEXT
from anyllm_fast.dialects.gemini_signature import THOUGHT as SIGNED_THOUGHT
from anyllm_fast.dialects.order import CALL, MAX_LOSSES, REFUSAL, THINKING, Ordered
from anyllm_fast.dialects.repair import (
    HELD_MAX,
    HELD_TOO_MUCH,
    MAX_CALLS,
    TOO_MANY_CALLS,
    Malformed,
    in_stream_error,
    is_object,
    number,
    string,
    unreadable,
)
from anyllm_fast.neutral.signatures import MAX_PACKED
from anyllm_fast.neutral.stream import Failure, Sink, StopReason, StreamOptions
from anyllm_fast.wire.pipe import Watched

WHITE: Final = b" \t\r\n"


def keep(span: bytes, said: list[bytes], size: int) -> int:
    """Adds to the text that is kept. The new size; SAID_MAX when it is full, and no more is kept."""
    if size + len(span) > SAID_MAX:
        return SAID_MAX
    said.append(span)
    return size + len(span)


# -- decoding ----------------------------------------------------------------------------------------------------------


class GeminiDecoder:
    """One upstream reply. `frame` takes one event's data; `finish` says that the body ended cleanly."""

    def __init__(self) -> None:
        self.sees_all = True  # False: nobody wants more than counts and the end
        self._over = False
        self._started = False
        self._others = False
        self._finish = b""
        self._blocked = False
        self._calls = 0
        self._idents: set[bytes] = set()
        self._partial: PartialCall | None = None
        self._tokens = Tokens()
        self._signature = b""  # of the text that is open
        self._said: list[bytes] = []
        self._said_size = 0
        self._notes: list[tuple[bytes, bytes]] = []
        self._notes_size = 0
        self._lost: set[bytes] = set()

    def skip(self) -> None:
        """Never called: every chunk says something about the whole reply."""

    def frame(self, event: bytes, data: bytes, sink: Sink) -> None:
        data = data.strip(WHITE)
        if self._over or not data or data == b"[DONE]":
            return
        try:
            chunk, lost, mended = read_chunk(data)
        except Malformed as error:
            self._fail(unreadable(data, str(error)), sink)
            return
        if is_object(chunk.error) or string(chunk.error):
            self._fail(in_stream_error(mended), sink)
            return
        if not self._started:
            self._started = True
            sink.start(string(chunk.response_id), string(chunk.model_version))
        self._lose(lost, sink)
        self._read(chunk, sink)

    def finish(self, sink: Sink) -> None:
        if self._over:
            return
        if not (self._finish or self._blocked or (self._calls and self._partial is None)):
            self._fail(ends.ENDED_EARLY, sink)
            return
        self._over = True
        self._end_partial(sink)
        if self._notes:
            annotations, lost = read_notes(self._notes, b"".join(self._said))
            for raw in annotations:
                sink.private(b"annotation", raw)
            self._lose(lost, sink)
        self._settle(sink)
        self._lose(ends.unsaid_finish(self._finish), sink)
        sink.stop(ends.judge_stop(self._finish, self._blocked, self._calls), None)
        sink.end()

    def _fail(self, failure: Failure, sink: Sink) -> None:
        if not self._over:
            self._over = True
            sink.fail(failure)

    def _lose(self, lost: Lost, sink: Sink) -> None:
        """Each name once."""
        for name, raw in lost:
            if name not in self._lost and len(self._lost) < MAX_LOSSES:
                self._lost.add(name)
                sink.private(name, raw)

    # -- chunks --------------------------------------------------------------------------------------------------------

    def _read(self, chunk: Chunk, sink: Sink) -> None:
        if is_object(chunk.usage_metadata):
            count(chunk.usage_metadata, self._tokens)
            sink.usage(self._tokens.usage)
        if is_object(chunk.prompt_feedback):
            blocked, lost = ends.blocked(bytes(chunk.prompt_feedback))
            self._blocked = self._blocked or blocked
            self._lose(lost, sink)
        candidate = self._first(chunk.candidates, sink) if chunk.candidates else None
        if candidate is None:
            return
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                if self._over:
                    return
                self._part(part, sink)
        if self.sees_all and not self._over:
            self._about(candidate, sink)
        if finish := string(candidate.finish_reason):
            self._finish = finish

    def _first(self, candidates: list[Candidate], sink: Sink) -> Candidate | None:
        """Candidate 0, whose index protobuf leaves out. The others are lost, which is said once."""
        first = None
        for place, candidate in enumerate(candidates):
            index = number(candidate.index)
            if first is None and (index == 0 or (index < 0 and place == 0)):
                first = candidate
            elif not self._others:
                self._others = True
                sink.private(b"candidates", b"null")
        return first

    def _about(self, candidate: Candidate, sink: Sink) -> None:
        """What a candidate says of its text: sources wait for the end of it."""
        for name, raw in (
            (b"groundingMetadata", candidate.grounding_metadata),
            (b"citationMetadata", candidate.citation_metadata),
        ):
            if is_object(raw) and bytes(raw) != b"{}" and (name, bytes(raw)) not in self._notes[-1:]:
                self._notes_size += len(bytes(raw))
                if self._notes_size > HELD_MAX:
                    self._fail(HELD_TOO_MUCH, sink)
                    return
                self._notes.append((name, bytes(raw)))
        if is_object(candidate.logprobs_result) and (tokens := read_logprobs(bytes(candidate.logprobs_result))):
            sink.private(b"logprobs", tokens)
        if ends.rated_blocked(bytes(candidate.safety_ratings)):
            self._lose([(b"candidates.safetyRatings", bytes(candidate.safety_ratings))], sink)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _part(self, part: Part, sink: Sink) -> None:
        called = is_object(part.function_call)
        thought = bytes(part.thought) == b"true"
        signature = string(part.thought_signature)
        if called and signature:
            self._settle(sink)
            self._seal(SIGNED_CALL, signature, sink)
        if span := string(part.text):
            self._settle(sink)
            if thought:
                sink.thinking(span)
            else:
                self._say(span, sink)
        if is_object(part.inline_data):
            self._media(part.inline_data, thought, sink)
        if is_object(part.executable_code):
            self._settle(sink)
            self._say(ends.code_span(bytes(part.executable_code)), sink)
        if is_object(part.code_execution_result):
            self._settle(sink)
            self._say(ends.result_span(bytes(part.code_execution_result)), sink)
        if called:
            self._settle(sink)
            self._call(bytes(part.function_call), sink)
        elif signature:
            self._settle(sink)
            if thought:
                self._seal(SIGNED_THOUGHT, signature, sink)
            elif is_object(part.inline_data):
                self._seal(SIGNED_MEDIA, signature, sink)
            else:
                self._signature = signature

    def _say(self, span: bytes, sink: Sink) -> None:
        if self.sees_all:
            self._said_size = keep(span, self._said, self._said_size)
        sink.text(span)

    def _settle(self, sink: Sink) -> None:
        """Something else comes: the text is signed first."""
        if self._signature:
            signature, self._signature = self._signature, b""
            self._seal(SIGNED_TEXT, signature, sink)

    def _seal(self, kind: str, signature: bytes, sink: Sink) -> None:
        said = ends.read_seal(kind, signature)
        if said is None:
            return
        redacted, opaque = said
        if redacted:
            sink.redacted(opaque)
        else:
            sink.seal(opaque)

    def _media(self, raw: Raw, thought: bool, sink: Sink) -> None:
        self._settle(sink)
        media = None if thought else ends.media_of(bytes(raw))  # an image that is a thought is a draft
        if media is None:
            sink.private(b"candidates.content.parts.inlineData", bytes(raw))
        else:
            sink.private(b"media", media)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _call(self, raw: bytes, sink: Sink) -> None:
        call = read_call(raw)
        if self._partial is None and not call.says_anything:
            return
        if call.name or self._partial is None:
            self._end_partial(sink)
            if (key := self._begin(call.ident, call.name, sink)) < 0:
                return
            if call.args is not None:
                sink.args(key, call.args)
                return
            self._partial = PartialCall(key)
        self._partial.feed(raw)
        if self._partial.too_much:
            self._fail(HELD_TOO_MUCH, sink)
        elif not call.goes_on:
            self._end_partial(sink)

    def _begin(self, ident: bytes, name: bytes, sink: Sink) -> int:
        """The key of a call that begins; -1 if there are too many. Results are paired by id, so two calls may not share one."""
        if self._calls >= MAX_CALLS:
            self._fail(TOO_MANY_CALLS, sink)
            return -1
        if ident in self._idents:
            ident = b""
        self._idents.add(ident)
        self._calls += 1
        sink.tool(self._calls - 1, ident, name)
        return self._calls - 1

    def _end_partial(self, sink: Sink) -> None:
        if self._partial is not None:
            partial, self._partial = self._partial, None
            sink.args(partial.key, partial.finish())


# -- encoding ----------------------------------------------------------------------------------------------------------


class GeminiEncoder(Ordered):
    """Chunks for one client: `data: ` and nothing else, because its SDKs stumble over any other line.

    The dialect is serial, and a call is one part: its arguments are kept until it is complete. A refusal goes out as text.
    """

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self._options = options
        self._tail = ends.chunk_tail(options)
        self._packs = options.origin not in ("", ORIGIN)
        self._thought: list[bytes] = []  # the open one, where its signature will want it
        self._thought_size = 0
        self._signature = b""  # waits for the part to be put on
        self._said: list[bytes] = []
        self._said_size = 0
        self._began = 0  # where in what was said the open text began
        self._notes: Notes | None = None
        self._called = (b"", b"")
        self._args: list[bytes] = []
        self._args_size = 0
        self._last = ends.LastChunk()

    def _put(self, part: bytes) -> None:
        if not self.ended:
            self._out += (ends.HEAD, part, self._tail)

    def _write_start(self) -> None:
        """Every chunk says what a start would."""

    def _write_open(self, kind: int) -> None:
        if kind == THINKING:
            self._flush()
        else:
            self._began = self._said_size
            self._last.refused = self._last.refused or kind == REFUSAL

    def _write_piece(self, kind: int, span: bytes) -> None:
        if kind == THINKING:
            if self._packs and self._thought_size <= MAX_PACKED:
                self._thought_size += len(span)
                self._thought.append(span)
            self._put(b'{"text":"%b","thought":true}' % ends.one_line(span))
            return
        self._said_size = keep(span, self._said, self._said_size)
        self._put(b'{"text":"%b"%b}' % (ends.one_line(span), self._signed()))

    def _signed(self) -> bytes:
        """The signature that waits, as a member."""
        signature, self._signature = self._signature, b""
        return b',"thoughtSignature":"%b"' % signature if signature else b""

    def _flush(self) -> None:
        if self._signature:
            self._put(b'{"text":""%b}' % self._signed())

    def _write_seal(self, signature: bytes) -> None:
        kind, value = ends.write_seal(self._options.origin, signature, b"".join(self._thought))
        self._flush()
        self._signature = value
        if kind == SIGNED_THOUGHT:
            self._put(b'{"text":"","thought":true%b}' % self._signed())
        elif kind in (SIGNED_TEXT, SIGNED_MEDIA):
            self._flush()

    def _write_close(self, kind: int) -> None:
        if kind == THINKING:
            self._thought.clear()
            self._thought_size = 0
        elif kind == CALL:
            self._end_call()
        elif self._notes is not None:
            self._notes.close(self._began, self._said_size)

    def _write_redacted(self, data: bytes) -> None:
        self._flush()
        self._signature = ends.write_redacted(self._options.origin, data)
        if not self._packs:
            self._flush()

    def _write_call(self, count: int, ident: bytes, name: bytes) -> None:
        self._called = ident, name
        self._args.clear()
        self._args_size = 0

    def _write_args(self, count: int, span: bytes) -> None:
        self._args_size += len(span)
        if self._args_size > HELD_MAX:
            self.fail(HELD_TOO_MUCH)
        else:
            self._args.append(span)

    def _end_call(self) -> None:
        args = ends.read_args(b"".join(self._args))
        self._put(b'{"functionCall":{"id":"%b","name":"%b","args":%b}%b}' % (*self._called, args, self._signed()))

    def _carry(self, name: bytes, raw: bytes) -> bool:
        if name == b"media":
            if (part := ends.write_media(raw)) is not None and self._turn_to(0):
                self._flush()
                self._put(part)
            return part is not None
        if name not in (b"citation", b"annotation", b"logprobs"):
            return False
        if self._notes is None:
            self._notes = Notes()
        return self._notes.add(name, raw)

    def _write_stop(self, reason: StopReason, sequence: bytes | None) -> None:
        self._flush()
        self._last.stop = reason
        if sequence is not None:
            self._lose(b"stop_sequence")
        if self._notes is not None:
            self._last.notes, lost = self._notes.write(b"".join(self._said))
            for name in lost:
                self._lose(name)

    def _write_losses(self) -> None:
        """A member of the last chunk: the dialect's clients take no comment."""
        self._last.losses = self.losses

    def _write_end(self) -> None:
        self._out.append(ends.write_last(self._options, self._last, self.counts))

    def _write_failure(self, failure: Failure) -> None:
        self._out.append(ends.write_failure(failure))


# -- the bypass --------------------------------------------------------------------------------------------------------


def _is_plain(event: bytes, data: bytes, committed: bool) -> bool:
    """None: each chunk has the counts so far, which are all there is of a stream that is cut or that its client leaves."""
    return False


def _is_error(event: bytes, data: bytes) -> bool:
    """None: not every SDK finds an error in an event, see gemini_ends.py."""
    return False


WATCHED: Final = Watched(GeminiDecoder, _is_plain, _is_error, ends.write_failure, b"")
