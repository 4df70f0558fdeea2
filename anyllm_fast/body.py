"""A request body: read from the client within bounds, and decompressed. Knows no JSON."""

from __future__ import annotations

from anyllm_fast.call import Call
from anyllm_fast.errors import InvalidRequest, TooLarge
from anyllm_fast.upstream.encoding import decode_body


async def read(call: Call, limit: int) -> bytes:
    """The whole body. Raises TooLarge past `limit` bytes (before and after decompression), InvalidRequest if the client broke off."""
    declared = call.headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the request body has {int(declared)} bytes; the limit is {limit}")
    message = await call.receive()
    received: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [received]
        size = len(received)
        while message.get("more_body"):
            message = await call.receive()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > limit:
                raise TooLarge(f"the request body is larger than the limit of {limit} bytes")
        received = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise InvalidRequest("the client closed the connection before the request body was complete")
    if len(received) > limit:
        raise TooLarge(f"the request body is larger than the limit of {limit} bytes")
    encoding = call.headers.get(b"content-encoding")
    if encoding is not None:
        received = decode_body(encoding, received, limit)
    return received
