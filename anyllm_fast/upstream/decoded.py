"""A reply whose body has a content coding, shown as one that has none. Wraps any UpstreamReply; knows no sockets.

We ask for identity; some upstreams and the proxies before them compress all the same. What is not taken stays compressed, so a
reply that inflates a thousandfold costs its reader one piece of memory, not a thousand.
"""

from __future__ import annotations

from collections.abc import Callable

from anyllm_fast.errors import UpstreamBroken, UpstreamError

from . import HeaderList, UpstreamReply
from .bounds import read_whole
from .encoding import BrokenCoding, Decoder, UnknownCoding, open_decoder


def open_decoded(reply: UpstreamReply) -> UpstreamReply:
    """`reply` without the codings that its content-encoding headers name. Raises UpstreamBroken for unknown ones."""
    try:
        decoder = open_decoder(b",".join([value for name, value in reply.headers if name == b"content-encoding"]))
    except UnknownCoding as error:
        reply.abort()
        raise UpstreamBroken(f"the upstream's answer cannot be read: {error}") from None
    return reply if decoder is None else DecodedReply(reply, decoder)


class DecodedReply:
    """An UpstreamReply over another one. `chunk` and `on_data` give pieces of a bounded size, several per read if need be."""

    def __init__(self, reply: UpstreamReply, decoder: Decoder) -> None:
        self._reply = reply
        self._decoder = decoder
        self._held = False
        self._raw_ended = False
        self._error: UpstreamBroken | None = None
        self._on_data: Callable[[bytes], None] | None = None
        self._on_end: Callable[[UpstreamError | None], None] | None = None
        self.status = reply.status
        self.http_version = reply.http_version
        self.headers: HeaderList = [
            header for header in reply.headers if header[0] not in (b"content-encoding", b"content-length")
        ]

    async def read(self, limit: int) -> bytes:
        return await read_whole(self, limit)

    async def chunk(self) -> bytes:
        while True:
            piece = self._take()
            if piece or self._raw_ended:
                return piece
            raw = await self._reply.chunk()
            if raw:
                self._decoder.feed(raw)
            else:
                self._raw_ended = True
                self._finish()

    def attach(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        self._on_data = on_data
        self._on_end = on_end
        self._reply.attach(self._push, self._end)

    def pause(self) -> None:
        self._held = True
        self._reply.pause()

    def resume(self) -> None:
        if self._held:
            self._held = False
            self._drain()
            if not self._held:
                self._reply.resume()

    def abort(self) -> None:
        self._on_data = self._on_end = None
        self._reply.abort()

    def _push(self, raw: bytes) -> None:
        self._decoder.feed(raw)
        self._drain()

    def _end(self, error: UpstreamError | None) -> None:
        if error is not None:
            self._close(error)
        else:
            self._raw_ended = True
            self._drain()

    def _drain(self) -> None:
        """Pushes what is decoded until the reader pauses or nothing is left."""
        try:
            while not self._held and self._on_data is not None:
                piece = self._take()
                if not piece:
                    break
                self._on_data(piece)
            if self._raw_ended and not self._held and self._on_end is not None:
                self._finish()
                self._close(None)
        except UpstreamBroken as error:
            self._close(error)

    def _close(self, error: UpstreamError | None) -> None:
        on_end, self._on_end, self._on_data = self._on_end, None, None
        if on_end is not None:
            on_end(error)

    def _take(self) -> bytes:
        if self._error is not None:
            raise self._error
        try:
            return self._decoder.take()
        except BrokenCoding as error:
            raise self._break(error) from None

    def _finish(self) -> None:
        try:
            self._decoder.finish()
        except BrokenCoding as error:
            raise self._break(error) from None

    def _break(self, error: BrokenCoding) -> UpstreamBroken:
        self._reply.abort()
        self._error = UpstreamBroken(f"the upstream's answer cannot be decoded: {error}")
        return self._error
