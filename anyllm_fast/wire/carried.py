"""A pipe whose bytes come or go in another framing than server-sent events. Knows no JSON and no dialect.

Decoders and encoders speak SSE, so whatever a host or a client wraps around it (AWS event-stream messages, a JSON array) is taken
off before the pipe and put on behind it.
"""

from __future__ import annotations

from typing import Protocol

from anyllm_fast.neutral.stream import Failure, Pipe, Remembered, StopReason
from anyllm_fast.neutral.usage import Usage


class Framing(Protocol):
    """Bytes of one framing to bytes of another. `feed` gives what is complete; neither raises for foreign bytes."""

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class Unframing(Framing, Protocol):
    failure: Failure | None
    """Set when what came is not of that framing, or was cut."""


class Carried:
    """Implements neutral.stream.Pipe around another one."""

    def __init__(self, pipe: Pipe, unframe: Unframing | None, frame: Framing | None) -> None:
        self._pipe = pipe
        self._unframe = unframe
        self._frame = frame

    @property
    def committed(self) -> bool:
        return self._pipe.committed

    @property
    def ended(self) -> bool:
        return self._pipe.ended

    @property
    def failure(self) -> Failure | None:
        return self._pipe.failure

    @property
    def usage(self) -> Usage:
        return self._pipe.usage

    @property
    def stop_reason(self) -> StopReason | None:
        return self._pipe.stop_reason

    @property
    def remembered(self) -> list[Remembered]:
        return self._pipe.remembered

    @property
    def losses(self) -> list[str]:
        return self._pipe.losses

    def feed(self, chunk: bytes) -> bytes:
        pipe, unframe = self._pipe, self._unframe
        if pipe.ended:
            return b""
        if unframe is None:
            return self._framed(pipe.feed(chunk))
        inside = unframe.feed(chunk)
        out = pipe.feed(inside) if inside else b""
        if unframe.failure is not None:
            out += pipe.fail(unframe.failure)
        return self._framed(out)

    def finish(self) -> bytes:
        pipe, unframe = self._pipe, self._unframe
        if pipe.ended:
            return b""
        out = b""
        if unframe is not None:
            inside = unframe.finish()
            out = pipe.feed(inside) if inside else b""
            if unframe.failure is not None:
                return self._framed(out + pipe.fail(unframe.failure))
        return self._framed(out + pipe.finish())

    def fail(self, failure: Failure) -> bytes:
        return b"" if self._pipe.ended else self._framed(self._pipe.fail(failure))

    def _framed(self, out: bytes) -> bytes:
        """The end of the framing follows the end of the stream, once: a pipe that has ended is not asked again."""
        frame = self._frame
        if frame is None:
            return out
        if out:
            out = frame.feed(out)
        return out + frame.finish() if self._pipe.ended else out
