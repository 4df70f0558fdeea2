"""Who is calling: the static proxy keys. Knows digests only; a key itself is never kept."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl

from anyllm_fast.call import Call, Policy
from anyllm_fast.config import Settings
from anyllm_fast.errors import Unauthenticated


class Auth(Policy):
    """Lets in who shows one of PROXY_API_KEYS as x-api-key, x-goog-api-key or Bearer, in this order.

    A key is looked up by its SHA-256 digest, and every configured digest is compared in constant time. Without keys nobody is let
    in, unless the operator opened the relay by name (PROXY_OPEN_RELAY: any credential will do) or there is nothing to protect
    (demo).
    """

    def __init__(self, digests: tuple[bytes, ...], open_relay: bool) -> None:
        self._digests = digests
        self._open_relay = open_relay

    @classmethod
    def open(cls, settings: Settings) -> Auth | None:
        if settings.demo and not settings.proxy_key_digests:
            return None
        return cls(settings.proxy_key_digests, settings.open_relay)

    def screen(self, call: Call) -> None:
        if call.route.public:
            return
        credential = credential_of(call) or (self._open_relay and not self._digests and signature_of(call))
        if not credential:
            raise Unauthenticated("Missing authentication. Provide x-api-key or Authorization header.")
        if self._digests:
            digest = hashlib.sha256(credential).digest()
            known = False
            for each in self._digests:
                known |= hmac.compare_digest(each, digest)
            if not known:
                raise Unauthenticated("Invalid API key.")
            call.key_name = digest[:4].hex()
            call.owner = digest
        elif not self._open_relay:
            raise Unauthenticated("Server not configured for access. Contact the administrator.")
        else:
            call.owner = hashlib.sha256(credential).digest()


def signature_of(call: Call) -> bytes:
    """An AWS signature. Nobody here can check it, so it is a credential only where any will do."""
    authorization = call.headers.get(b"authorization", b"")
    return authorization if authorization.startswith(b"AWS4-HMAC-SHA256 ") else b""


def credential_of(call: Call) -> bytes:
    """The caller's credential, b"" if there is none. An empty x-api-key does not hide a Bearer. `?key=` is Google's way."""
    headers = call.headers
    for name in (b"x-api-key", b"x-goog-api-key"):
        value = headers.get(name)
        if value:
            return value.strip()
    authorization = headers.get(b"authorization", b"")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    if b"key=" in call.query and call.route.dialect == "gemini":
        return next((value.encode() for name, value in parse_qsl(call.query.decode("latin-1")) if name == "key"), b"")
    return b""
