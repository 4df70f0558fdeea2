"""What an upstream may send us at most, and for how long a connection counts as stale. One for all implementations."""

from __future__ import annotations

from anyllm_fast.errors import UpstreamBroken

from . import UpstreamReply

MAX_HEADER_BYTES = 65536
MAX_HEADERS = 200
HIGH_WATER = 65536  # unread bytes of a body above which the socket is not read any more
STALE_SECONDS = 2.0  # a dead peer's reset comes within a round trip; an upstream that worked longer had the request


def too_large(limit: int) -> UpstreamBroken:
    return UpstreamBroken(f"the upstream's answer is larger than {limit} bytes")


async def read_whole(reply: UpstreamReply, limit: int, begun: bytes = b"") -> bytes:
    """The whole body of a reply that comes in chunks, of which `begun` has been taken already. Past `limit` bytes the reply is
    aborted. Raises UpstreamBroken."""
    pieces = [begun]
    size = len(begun)
    while piece := await reply.chunk():
        size += len(piece)
        if size > limit:
            reply.abort()
            raise too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)
