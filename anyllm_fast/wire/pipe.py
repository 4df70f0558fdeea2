"""From upstream bytes to client bytes: through a decoder and an encoder (Pipe), or past both (Watch). Knows no JSON.

`Watch` is the bypass for a client that speaks the upstream's dialect: the bytes go through as they are, up to the last complete
frame, so that a cut never leaks half of one. Beside the stream a decoder reads the few frames that say something about the whole
reply (start, usage, stop reason, errors); an ordinary delta is recognised by its bytes and never parsed. Where the upstream's
stream is not good, the client gets its dialect's error in place of what was wrong, and nothing after it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Literal, NamedTuple, Protocol, cast

from anyllm_fast.neutral.dialect import Encoder
from anyllm_fast.neutral.stream import Failure, Remembered, Sink, StopReason
from anyllm_fast.neutral.usage import Usage
from anyllm_fast.wire.sse import BARE, Frames

WatchedDialect = Literal["openai_chat", "anthropic", "openai_responses", "gemini", "bedrock"]


class Decoder(Protocol):
    """Reads the frames of one upstream reply and says what happens to a Sink."""

    def frame(self, event: bytes, data: bytes, sink: Sink) -> None: ...

    def finish(self, sink: Sink) -> None:
        """The body ended cleanly."""
        ...

    def skip(self) -> None:
        """A frame was not shown, because it is an ordinary delta. (`sees_all` is False where that can happen.)"""
        ...

    sees_all: bool


class _Outgoing(Encoder, Protocol):
    started: bool
    ended: bool
    failure: Failure | None
    stop_reason: StopReason | None
    counts: Usage
    losses: list[str]
    remembered: list[Remembered]


class Pipe:
    """Implements neutral.stream.Pipe for two different dialects."""

    def __init__(self, decoder: Decoder, encoder: Encoder, max_frame: int) -> None:
        self._frames = Frames(max_frame)
        self._decoder = decoder
        self._encoder = cast(_Outgoing, encoder)
        self.committed = False
        self.ended = False
        self.failure: Failure | None = None
        self.stop_reason: StopReason | None = None
        self.usage = Usage()
        self.losses: list[str] = self._encoder.losses
        self.remembered: list[Remembered] = self._encoder.remembered

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        for event, data in self._frames.feed(chunk):
            self._decoder.frame(event, data, self._encoder)
            if self._encoder.ended:
                break
        if self._frames.failure is not None:
            self._encoder.fail(broken(self._frames.failure))
        return self._taken()

    def finish(self) -> bytes:
        if self.ended:
            return b""
        for event, data in self._frames.finish():
            self._decoder.frame(event, data, self._encoder)
        self._decoder.finish(self._encoder)
        return self._taken()

    def fail(self, failure: Failure) -> bytes:
        if self.ended:
            return b""
        self._encoder.fail(failure)
        return self._taken()

    def _taken(self) -> bytes:
        encoder = self._encoder
        self.committed = encoder.started
        self.ended = encoder.ended
        self.failure = encoder.failure
        self.stop_reason = encoder.stop_reason
        self.usage = encoder.counts
        return encoder.take()


def broken(why: str) -> Failure:
    return Failure("api", why, 502)


class Gauge:
    """A Sink that writes nothing: what a stream that passes by says about its reply."""

    def __init__(self) -> None:
        self.committed = False
        self.ended = False
        self.failure: Failure | None = None
        self.stop_reason: StopReason | None = None
        self.counts = Usage()

    def start(self, ident: bytes, model: bytes) -> None: ...

    def text(self, span: bytes) -> None:
        self.committed = True

    refusal = thinking = seal = redacted = text

    def tool(self, key: int, ident: bytes, name: bytes) -> None:
        self.committed = True

    def args(self, key: int, span: bytes) -> None:
        self.committed = True

    def private(self, name: bytes, raw: bytes) -> None:
        self.committed = True

    def usage(self, counts: Usage) -> None:
        self.counts = counts

    def stop(self, reason: StopReason, sequence: bytes | None) -> None:
        self.committed = True
        self.stop_reason = reason

    def fail(self, failure: Failure) -> None:
        self.failure, self.ended = failure, True

    def end(self) -> None:
        self.ended = True


class Watched(NamedTuple):
    """What a dialect tells the bypass about its streams."""

    decoder: Callable[[], Decoder]
    is_plain: Callable[[bytes, bytes, bool], bool]
    """(event name, data, whether something was committed): an ordinary delta, which commits and is not parsed."""
    is_error: Callable[[bytes, bytes], bool]
    """Whether the dialect's clients take this failed frame for the error that it is."""
    write_failure: Callable[[Failure], bytes]
    terminator: bytes
    """What is added to a stream that was complete without it."""


class Watch:
    """Implements neutral.stream.Pipe for one dialect on both sides."""

    def __init__(self, dialect: WatchedDialect, max_frame: int) -> None:
        self._watched = watched(dialect)
        self._decoder = self._watched.decoder()
        self._decoder.sees_all = False
        self._frames = Frames(max_frame)
        self._gauge = Gauge()
        self._held: list[bytes] = []
        self.committed = False
        self.ended = False
        self.failure: Failure | None = None
        self.stop_reason: StopReason | None = None
        self.usage = Usage()
        self.losses: list[str] = []
        self.remembered: list[Remembered] = []

    def feed(self, chunk: bytes) -> bytes:
        if self.ended:
            return b""
        frames = self._frames.feed(chunk)
        for (event, data), (begin, end) in zip(frames, self._frames.places, strict=True):
            self._look(event, data)
            if self._gauge.failure is not None and not self._watched.is_error(event, data):
                return self._taken(self._released(chunk, begin) + self._watched.write_failure(self._gauge.failure))
            if self._gauge.ended:
                return self._taken(self._released(chunk, end))
        if self._frames.failure is not None:
            self._gauge.fail(failure := broken(self._frames.failure))
            return self._taken(self._released(chunk, self._frames.boundary) + self._watched.write_failure(failure))
        return self._taken(self._forward(chunk))

    def finish(self) -> bytes:
        if self.ended:
            return b""
        out = b""
        for event, data in self._frames.finish():
            if _is_noise(event, data):
                continue
            self._decoder.frame(event, data, self._gauge)  # never unread: it may be half a frame
            if self._gauge.failure is None or self._watched.is_error(event, data):
                out = closed(b"".join(self._held))
        if not self._gauge.ended:
            self._decoder.finish(self._gauge)
            if self._gauge.failure is None:
                out += self._watched.terminator
            else:
                out += self._watched.write_failure(self._gauge.failure)
        elif not out and self._gauge.failure is not None:
            out = self._watched.write_failure(self._gauge.failure)
        return self._taken(out)

    def fail(self, failure: Failure) -> bytes:
        if self.ended:
            return b""
        self._gauge.fail(failure)
        return self._taken(self._watched.write_failure(failure))

    def _look(self, event: bytes, data: bytes) -> None:
        if _is_noise(event, data):
            return
        if self._watched.is_plain(event, data, self._gauge.committed):
            self._gauge.committed = True
            self._decoder.skip()
        else:
            self._decoder.frame(event, data, self._gauge)

    def _forward(self, chunk: bytes) -> bytes:
        """Everything up to the last blank line; the rest waits."""
        end = self._frames.boundary
        out = self._released(chunk, end)
        if end < len(chunk):
            self._held.append(chunk[end:])
        return out

    def _released(self, chunk: bytes, end: int) -> bytes:
        """What was held, and the chunk up to `end`; nothing if the frame that is held did not end. A chunk that leaves whole,
        with nothing before it, is returned itself."""
        if not end:
            return b""
        if not self._held:
            return chunk if end == len(chunk) else chunk[:end]
        out = b"".join((*self._held, chunk[:end]))
        self._held.clear()
        return out

    def _taken(self, out: bytes) -> bytes:
        gauge = self._gauge
        self.committed = gauge.committed
        self.ended = gauge.ended
        self.failure = gauge.failure
        self.stop_reason = gauge.stop_reason
        self.usage = gauge.counts
        return out


def _is_noise(event: bytes, data: bytes) -> bool:
    """A line of JSON that is no event: it says something only where it is an error."""
    return event == BARE and b'"error"' not in data


def closed(rest: bytes) -> bytes:
    """A last frame with the blank line that it came without."""
    return rest + (b"\n" if rest.endswith((b"\n", b"\r")) else b"\n\n")


def watched(dialect: WatchedDialect) -> Watched:
    # dialects imports this package
    found: Watched = import_module(f"anyllm_fast.dialects.{dialect}_stream").WATCHED
    return found
