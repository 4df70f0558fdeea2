"""Content codings undone in bounded steps: gzip, deflate, br, zstd. Knows no HTTP beyond the names of the codings.

A compressed body is a promise of unknown size, so nothing here ever inflates "all of it". A stage is fed compressed bytes and
gives decoded bytes only as they are taken, a bounded piece at a time; what is not taken stays compressed. Codings that were
applied one after the other ("gzip, br", RFC 9110 section 8.4) are stages that pull from one another.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from anyllm_fast.errors import InvalidRequest, TooLarge

PIECE = 65536
MAX_CODINGS = 4  # nobody sends more than one; a list without end is an attack
ZSTD_WINDOW = 1 << 23  # RFC 9659: a decoder of HTTP content accepts windows up to 8 MB, a sender uses no larger one
ZSTD_SLICE = 64  # a zstd block of 4 bytes may stand for 128 KB, and the binding has no output bound: feed it little at a time


class BrokenCoding(ValueError):
    """The data is not what its coding says, or it ends too early."""


class UnknownCoding(ValueError):
    """A coding that is not one of gzip, deflate, br, zstd, identity, or too many of them."""


class _Stage(Protocol):
    def feed(self, data: bytes) -> None: ...
    def take(self, room: int) -> bytes: ...
    def finished(self) -> bool: ...


class _Zlib:
    """gzip with any number of members (RFC 1952 section 2.2) and deflate as RFC 9110 or as old servers mean it (raw)."""

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits
        self._inflater: Any = None
        self._input = b""
        self._full = False

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self, room: int) -> bytes:
        while self._input or self._full:
            inflater = self._inflater
            if inflater is None or inflater.eof:
                inflater = self._open()
                if inflater is None:
                    return b""
            try:
                piece: bytes = inflater.decompress(self._input, room)
            except zlib.error as error:
                raise BrokenCoding(str(error)) from None
            self._input = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            self._full = len(piece) == room and not inflater.eof
            if piece:
                return piece
        return b""

    def _open(self) -> Any:
        if self._inflater is not None and self._window_bits != _GZIP:
            raise BrokenCoding("data after the end of the stream")
        window_bits = self._window_bits
        if window_bits == _DEFLATE:
            if len(self._input) < 2:
                return None
            first, second = self._input[0], self._input[1]
            zlib_header = first & 0x0F == 8 and (first << 8 | second) % 31 == 0
            window_bits = zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(window_bits)
        return self._inflater

    def finished(self) -> bool:
        return self._inflater is not None and self._inflater.eof and not self._input


_GZIP = 16 + zlib.MAX_WBITS
_DEFLATE = 0


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._error = brotli.error
        self._inflater = brotli.Decompressor()
        self._input: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._input.append(data)

    def take(self, room: int) -> bytes:
        inflater = self._inflater
        while True:
            if not inflater.can_accept_more_data():
                data = b""
            elif self._input:
                data = self._input.pop(0)
            else:
                return b""
            try:
                piece: bytes = inflater.process(data, output_buffer_limit=room)
            except self._error as error:
                raise BrokenCoding(str(error)) from None
            if piece:
                return piece

    def finished(self) -> bool:
        return not self._input and bool(self._inflater.is_finished())


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._open = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj
        self._inflater: Any = None
        self._input = memoryview(b"")

    def feed(self, data: bytes) -> None:
        self._input = memoryview(bytes(self._input) + data) if self._input else memoryview(data)

    def take(self, room: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while self._input and size < room:
            if self._inflater is None or self._inflater.eof:
                self._inflater = self._open()
            part, self._input = self._input[:ZSTD_SLICE], self._input[ZSTD_SLICE:]
            try:
                piece = self._inflater.decompress(part)
            except self._error as error:
                raise BrokenCoding(str(error)) from None
            if self._inflater.eof and self._inflater.unused_data:
                self._input = memoryview(self._inflater.unused_data + bytes(self._input))
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def finished(self) -> bool:
        return not self._input and self._inflater is not None and bool(self._inflater.eof)


_STAGES: dict[bytes, Callable[[], _Stage]] = {
    b"gzip": lambda: _Zlib(_GZIP),
    b"x-gzip": lambda: _Zlib(_GZIP),
    b"deflate": lambda: _Zlib(_DEFLATE),
    b"br": _Brotli,
    b"zstd": _Zstd,
}


class Decoder:
    """Undoes the codings of one body. Feed, then take until nothing comes; `finish` at the end of the body.

    Raises BrokenCoding from `take` and `finish`.
    """

    __slots__ = ("_fed", "_stages")
    known: ClassVar[frozenset[bytes]] = frozenset(_STAGES)

    def __init__(self, codings: list[bytes]) -> None:
        self._stages = [_STAGES[coding]() for coding in reversed(codings)]
        self._fed = False

    def feed(self, data: bytes) -> None:
        if data:
            self._fed = True
            self._stages[0].feed(data)

    def take(self, room: int = PIECE) -> bytes:
        """The next decoded bytes, about `room` of them (zstd: up to 2 MB more); b"" when it needs more input."""
        return self._take(len(self._stages) - 1, room)

    def _take(self, index: int, room: int) -> bytes:
        stage = self._stages[index]
        while True:
            piece = stage.take(room)
            if piece or index == 0:
                return piece
            before = self._take(index - 1, room)
            if not before:
                return b""
            stage.feed(before)

    def finish(self) -> None:
        """Says that no more input comes. An empty body is whole under every coding (answers to HEAD, 204)."""
        if self._fed and not all(stage.finished() for stage in self._stages):
            raise BrokenCoding("the data ends too early")


def open_decoder(encoding: bytes) -> Decoder | None:
    """The decoder for a content-encoding header's value, None when there is nothing to undo. Raises UnknownCoding."""
    codings = [coding for coding in (part.strip().lower() for part in encoding.split(b",")) if coding]
    codings = [coding for coding in codings if coding != b"identity"]
    if len(codings) > MAX_CODINGS:
        raise UnknownCoding(f"more than {MAX_CODINGS} content codings")
    for coding in codings:
        if coding not in _STAGES:
            raise UnknownCoding(f"content coding '{coding[:40].decode('ascii', 'replace')}' is not supported")
    return Decoder(codings) if codings else None


def decode_body(encoding: bytes, body: bytes, limit: int) -> bytes:
    """A caller's request body without its content codings, at most `limit` bytes.

    Raises InvalidRequest (415 for an unknown coding, 400 for broken data) and TooLarge.
    """
    try:
        decoder = open_decoder(encoding)
    except UnknownCoding as error:
        raise InvalidRequest(f"{error}, use gzip, deflate, br or zstd", status=415) from None
    if decoder is None:
        if len(body) > limit:
            raise TooLarge(f"the request body is larger than {limit} bytes")
        return body
    if not body:
        raise InvalidRequest("the request body is empty, which no content coding can be")
    pieces: list[bytes] = []
    size = 0
    try:
        decoder.feed(body)
        while piece := decoder.take():
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the decoded request body is larger than {limit} bytes")
            pieces.append(piece)
        decoder.finish()
    except BrokenCoding as error:
        raise InvalidRequest(f"the request body is not valid {encoding.decode('ascii', 'replace')}: {error}") from None
    return b"".join(pieces)
