"""Server-sent events: bytes in any cutting to frames (WHATWG HTML, 9.2.6). Knows no JSON and no dialect.

A line ends with LF, CRLF or CR, mixed as it comes; a blank line ends a frame. A CR at the end of a chunk ends its line at once,
and the LF that may begin the next chunk belongs to it. Nothing is looked at twice: what is kept between chunks is the lines of
the frame so far and the pieces of the line that is not complete.
"""

from __future__ import annotations

from typing import Final

BOM: Final = b"\xef\xbb\xbf"
BARE: Final = b"{"
"""The event name of a JSON object that stands in a stream as it is, without `data:`: so Google's servers send errors."""
_LF, _CR = 0x0A, 0x0D


def too_large(max_frame: int) -> str:
    return f"an event of the upstream's stream is larger than {max_frame} bytes"


class Frames:
    """`feed` gives the frames that a chunk completes, as (event name, data).

    A frame without a data line is none. What is larger than `max_frame` bytes (its lines together, without their ends) sets
    `failure`, and nothing comes out any more.
    """

    __slots__ = (
        "_after_cr",
        "_bare",
        "_data",
        "_event",
        "_first",
        "_max_frame",
        "_partial",
        "boundary",
        "failure",
        "places",
        "rest",
    )

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._event = b""
        self._data: list[bytes] = []
        self._partial: list[bytes] = []
        self._first = True
        self._after_cr = False
        self._bare = False  # the lines of the frame are data as they are
        self.rest = 0
        """Bytes so far of the frame that is not complete."""
        self.failure: str | None = None
        self.places: list[tuple[int, int]] = []
        """Where in the last chunk each of its frames began (0 also if it began before) and ended, the blank line included."""
        self.boundary = 0
        """Where in the last chunk the last blank line ended, also one that ended no frame; 0 if it had none."""

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        frames: list[tuple[bytes, bytes]] = []
        self.places = []
        self.boundary = place = self._skip_lf(chunk)
        if self.rest:
            self.boundary = 0
        end, lf = len(chunk), 0
        while place < end and self.failure is None:
            if 0 <= lf < place or not place:
                lf = chunk.find(b"\n", place)
            cr = chunk.find(b"\r", place, end if lf < 0 else lf)
            cut = cr if cr >= 0 else lf
            if cut < 0:
                self._keep(chunk[place:])
                break
            line = self._line(chunk[place:cut])
            place = cut + 1
            if cut == cr:
                if chunk[place : place + 1] == b"\n":
                    place += 1
                self._after_cr = place == end and chunk[-1] == _CR
            if line:
                self._read(line)
            else:
                if self._data:
                    frames.append(self._dispatch())
                    self.places.append((self.boundary, place))
                self.boundary = place
                self._event, self.rest = b"", 0
        return frames

    def finish(self) -> list[tuple[bytes, bytes]]:
        """The frame that the end of the body left without its blank line, if any. Whether it is whole is not known here."""
        if self.failure is None and (self._partial or self._data):
            if line := self._line(b""):
                self._read(line)
            if self._data and self.failure is None:
                return [self._dispatch()]
        return []

    def _skip_lf(self, chunk: bytes) -> int:
        """Length of what still belongs to the last line of the chunk before."""
        if not chunk:
            return 0
        skipped = 1 if self._after_cr and chunk[0] == _LF else 0
        self._after_cr = False
        return skipped

    def _keep(self, piece: bytes) -> None:
        self._partial.append(piece)
        self._count(len(piece))

    def _line(self, piece: bytes) -> bytes:
        self._count(len(piece))
        if self._partial:
            self._partial.append(piece)
            piece = b"".join(self._partial)
            self._partial.clear()
        if self._first:
            self._first = False
            piece = piece.removeprefix(BOM)
        return piece

    def _count(self, size: int) -> None:
        self.rest += size
        if self.rest > self._max_frame:
            self.failure = too_large(self._max_frame)
            self._data.clear()
            self._partial.clear()

    def _read(self, line: bytes) -> None:
        if self._bare or (line.startswith(BARE) and not self._data):
            self._bare, self._event = True, BARE
            self._data.append(line)
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._event = value.removeprefix(b" ")

    def _dispatch(self) -> tuple[bytes, bytes]:
        frame = (self._event, self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
        self._data.clear()
        self._event, self._bare, self.rest = b"", False, 0
        return frame
