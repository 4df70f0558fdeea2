"""Signatures of scripted thinking: an upstream knows its own again and refuses an altered or foreign one."""

from __future__ import annotations

import base64
import binascii
import hmac

_KEY = b"scripted upstream"
_MARK = b"\x12\xc4sig\x01"  # so that a signature is recognisably one, as the real ones begin alike
_SEAL = b"\x12\xc4red\x01"


def sign(thinking: str) -> str:
    return base64.b64encode(_MARK + _digest(thinking.encode())).decode()


def is_signed(thinking: str, signature: str) -> bool:
    return hmac.compare_digest(signature.encode(), sign(thinking).encode())


def seal(secret: str) -> str:
    """Redacted thinking: opaque, and readable only by `is_sealed`."""
    body = secret.encode()
    return base64.b64encode(_SEAL + _digest(body) + body).decode()


def is_sealed(data: str) -> bool:
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return False
    rest = raw.removeprefix(_SEAL)
    return rest != raw and hmac.compare_digest(rest[:32], _digest(rest[32:]))


def secret_of(data: str) -> str:
    """What `seal` sealed."""
    return base64.b64decode(data)[len(_SEAL) + 32 :].decode()


def _digest(data: bytes) -> bytes:
    return hmac.digest(_KEY, data, "sha256")
