"""Encrypted reasoning of the scripted Responses service: opaque to others, and refused when a byte of it is another."""

from __future__ import annotations

import base64
import binascii
import hmac

_KEY = b"scripted responses"
_MARK = bytes((0x80, 0, 0, 0, 0))  # `gAAAAA`, as what the real service encrypts begins


def encrypt(secret: str) -> str:
    body = secret.encode()
    return base64.urlsafe_b64encode(_MARK + _digest(body) + body).decode()


def is_encrypted(data: str) -> bool:
    try:
        raw = base64.urlsafe_b64decode(data)
    except (binascii.Error, ValueError):
        return False
    rest = raw.removeprefix(_MARK)
    canonical = base64.urlsafe_b64encode(raw).decode() == data
    return canonical and rest != raw and hmac.compare_digest(rest[:32], _digest(rest[32:]))


def secret_of(data: str) -> str:
    """What `encrypt` was given."""
    return base64.urlsafe_b64decode(data)[len(_MARK) + 32 :].decode()


def _digest(data: bytes) -> bytes:
    return hmac.digest(_KEY, data, "sha256")
