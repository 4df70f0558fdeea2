"""A request body: read from the client within bounds, and decompressed. Knows no JSON."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from anyllm_fast.call import Call
from anyllm_fast.errors import InvalidRequest, TooLarge
from anyllm_fast.upstream.encoding import decode_body

_LINGER = 30.0
_LINGER_IDLE = 1.0


async def read(call: Call, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes (before and after decompression), InvalidRequest if the client left."""
    declared = call.headers.get(b"content-length", b"")
    length = int(declared) if declared.isdigit() else -1
    if length > limit:
        await _linger(call, {"more_body": b"expect" not in call.headers})
        raise TooLarge(f"the request body has {length} bytes; the limit is {limit}")
    message = await call.receive()
    received: bytes = message.get("body", b"")
    # Granian says `more_body` with the last byte too, and each further `receive` is a change of threads: so go by the length
    if message.get("more_body") and len(received) != length:
        parts = [received]
        size = len(received)
        while message.get("more_body") and size != length:
            message = await call.receive()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit:
                parts.clear()
                await _linger(call, message)
                raise TooLarge(f"the request body is larger than the limit of {limit} bytes")
        received = b"".join(parts)
    if message["type"] == "http.disconnect":
        call.outcome.client_gone = True
        raise InvalidRequest("the client closed the connection before the request body was complete")
    if len(received) > limit:
        raise TooLarge(f"the request body is larger than the limit of {limit} bytes")
    encoding = call.headers.get(b"content-encoding")
    if encoding is not None:
        received = decode_body(encoding, received, limit)
    return received


async def _linger(call: Call, message: dict[str, Any]) -> None:
    """Lets the client write the rest: many read nothing before that, and would see a broken connection instead of the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            while message.get("more_body"):
                async with asyncio.timeout(_LINGER_IDLE):
                    message = await call.receive()
