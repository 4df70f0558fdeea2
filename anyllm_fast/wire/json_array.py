"""A stream of events as one JSON array that grows: how Google answers streamGenerateContent without `alt=sse`. Knows no JSON.

Takes what an encoder or the bypass gives, whole frames only: `data: ` lines, and at most one bare object at the end, which is an
error. Comments and blank lines between have no place in an array and are left out.
"""

from __future__ import annotations

from typing import Final

_OPEN: Final = b"["
_NEXT: Final = b",\r\n"


class SseToJsonArray:
    """`feed` gives the elements of a chunk's frames with what stands before them; `finish` closes the array."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        out: list[bytes] = []
        for frame in _frames(chunk):
            if data := _data(frame):
                out += (_NEXT if self._begun else _OPEN, data)
                self._begun = True
        return b"".join(out)

    def finish(self) -> bytes:
        """A stream that said nothing is an empty array."""
        return b"]" if self._begun else b"[]"


def _frames(chunk: bytes) -> list[bytes]:
    return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")


def _data(frame: bytes) -> bytes:
    """The data lines of a frame as one text; a bare object as it is."""
    if frame[:1] == b"{":
        return frame
    lines = [line[5:].removeprefix(b" ") for line in frame.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).strip()
