"""AWS event-stream messages, written for a scripted upstream by code that is not the gateway's. Knows no dialect.

https://smithy.io/2.0/aws/amazon-eventstream.html: two lengths and their CRC32, headers, payload, CRC32 of it all.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Iterable

STRING = 7


def message(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers)
    lengths = struct.pack("!II", 12 + len(head) + len(payload) + 4, len(head))
    whole = b"".join((lengths, struct.pack("!I", crc32(lengths)), head, payload))
    return whole + struct.pack("!I", crc32(whole))


def event(name: str, payload: bytes) -> bytes:
    return message(((":event-type", name), (":content-type", "application/json"), (":message-type", "event")), payload)


def exception(name: str, payload: bytes) -> bytes:
    return message(((":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")), payload)


def corrupted(whole: bytes) -> bytes:
    """The message with one bit of its payload turned: its own checksum no longer fits."""
    at = len(whole) - 6
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(f"!B{len(name)}sBH", len(name), name, STRING, len(value)) + value
