"""Browsers of other origins: off unless ANYLLM_CORS_ORIGINS names them. Knows headers only."""

from __future__ import annotations

from anyllm_fast.call import Call
from anyllm_fast.relay import answer

_EXPOSED = b"x-request-id, request-id, retry-after, x-anyllm-degradation"


class Cors:
    """Answers preflights and marks answers for the origins that the operator listed (`*` for any)."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    async def handle(self, call: Call) -> bool:
        """True if the call was a preflight and has been answered."""
        origin = call.headers.get(b"origin")
        if origin is None or not (origin in self._origins or b"*" in self._origins):
            return False
        call.response_headers += [
            (b"access-control-allow-origin", origin),
            (b"vary", b"origin"),
            (b"access-control-expose-headers", _EXPOSED),
        ]
        if call.method != "OPTIONS" or b"access-control-request-method" not in call.headers:
            return False
        call.response_headers += [
            (b"access-control-allow-methods", b"GET, HEAD, POST"),
            (b"access-control-allow-headers", call.headers.get(b"access-control-request-headers", b"*")),
            (b"access-control-max-age", b"600"),
        ]
        await answer(call, 200, b"", b"text/plain")
        return True
