"""Identifiers. Random and unique, to correlate by. Only what `new_secret` gives opens anything to its holder."""

from __future__ import annotations

import os
import random
import re

_bits = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - ids to correlate by; a system call for each would cost more
_LEGAL = re.compile(rb"[!-~]{1,200}")


def new_hex() -> str:
    """32 hex digits, as behind `msg_` and `chatcmpl-`."""
    return f"{_bits(128):032x}"


def new_secret() -> str:
    """32 hex digits that nobody can guess, also who has seen many: for what can be fetched by its id."""
    return os.urandom(16).hex()


def new_request_id() -> str:
    """A UUID v4, what x-request-id is where the client sent none."""
    h = f"{_bits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"


def request_id(received: bytes | None) -> str:
    """The client's own x-request-id if it is printable ASCII of at most 200 characters, else a new one."""
    if received is not None and _LEGAL.fullmatch(received):
        return received.decode("ascii")
    return new_request_id()
