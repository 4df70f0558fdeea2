"""The errors a caller can see. Says what went wrong, never how a dialect writes it: that is `dialects/`.

A foreign exception (socket, TLS, msgspec) is mapped to one of these at its seam, once. No meaning is ever read out of a
message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

Kind = Literal[
    "invalid_request",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "method_not_allowed",
    "conflict",
    "too_large",
    "unprocessable",
    "rate_limit",
    "api",
    "timeout",
    "overloaded",
]

STATUS_OF: dict[Kind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "api": 500,
    "timeout": 504,
    "overloaded": 529,
}

_KIND_OF_STATUS: dict[int, Kind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "unprocessable",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def kind_of_status(status: int) -> Kind:
    """The kind that an HTTP status of any vendor stands for. Unknown 4xx are the caller's fault, the rest is ours."""
    known = _KIND_OF_STATUS.get(status)
    if known is not None:
        return known
    return "invalid_request" if 400 <= status < 500 else "api"


Headers = Sequence[tuple[bytes, bytes]]


class GatewayError(Exception):
    """An answer to the caller instead of a reply.

    `status` is the HTTP status, `kind` what it means, `where` the dotted path of the field at fault (`messages.3.content.0`),
    `code` the vendor's machine-readable code if the upstream gave one, `headers` what goes out with it (retry-after,
    rate limits).
    """

    kind: Kind = "api"

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        where: str = "",
        code: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status or STATUS_OF[self.kind]
        self.where = where
        self.code = code
        self.headers = tuple(headers)

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InvalidRequest(GatewayError):
    kind = "invalid_request"


class Unauthenticated(GatewayError):
    kind = "authentication"


class Forbidden(GatewayError):
    kind = "permission"


class NotFound(GatewayError):
    kind = "not_found"


class MethodNotAllowed(GatewayError):
    kind = "method_not_allowed"


class TooLarge(GatewayError):
    kind = "too_large"


class RateLimited(GatewayError):
    kind = "rate_limit"


class Internal(GatewayError):
    """A fault of ours. The message says that it is, and nothing about the inside."""

    kind = "api"


class UpstreamError(GatewayError):
    """The upstream did not do its part before anything was sent to the caller.

    `retryable` says that the upstream cannot have acted on the request, so that sending it again is safe.
    """

    kind: Kind = "api"
    retryable: ClassVar[bool] = False


class UpstreamUnreachable(UpstreamError):
    """No connection: DNS, refused, TLS, connect timeout. 502."""

    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(message, status=502)


class UpstreamTimeout(UpstreamError):
    """Connected, but no answer in time (first byte, idle or total). 504."""

    kind = "timeout"


class UpstreamBroken(UpstreamError):
    """The answer ended early, was no HTTP, or was larger than the bound. 502."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=502)


class UpstreamRefused(UpstreamError):
    """The upstream answered with an error of its own: its status, kind, code and message are passed on. `verbatim` is its body,
    where the caller speaks the same dialect and gets it untouched."""

    verbatim: bytes | None = None

    def __init__(
        self,
        message: str,
        *,
        status: int,
        kind: Kind | None = None,
        code: str | None = None,
        where: str = "",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        self.kind = kind or kind_of_status(status)
        super().__init__(message, status=status, code=code, where=where, headers=headers)


class ConfigError(Exception):
    """The configuration cannot be used: one line that names the variable, or the file and line."""
