"""AWS Signature Version 4 for a finished request. Fetches no credentials.

Source: docs.aws.amazon.com, "Create a signed AWS API request". The path of a Bedrock call is signed as every service but S3 signs
it: each segment percent-encoded once more than it is sent.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote

import msgspec

from anyllm_fast.upstream import HeaderList, UpstreamRequest

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = frozenset({b"user-agent", b"x-amzn-trace-id", b"expect", b"transfer-encoding", b"accept", b"x-request-id"})
"""Headers that a proxy between us and AWS may change; leaving them out costs nothing, they decide nothing."""


class Credentials(msgspec.Struct, frozen=True):
    """What a request is signed with. Its repr shows no secret."""

    access_key: str
    secret_key: str
    token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key[:4]}...)"


class Scope(msgspec.Struct, frozen=True):
    """Where a signature counts."""

    region: str
    service: str = "bedrock"


def sign(request: UpstreamRequest, credentials: Credentials, scope: Scope, now: datetime) -> None:
    """Adds authorization, x-amz-date, x-amz-security-token and x-amz-content-sha256 to the request's headers."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(request.body).hexdigest()
    request.headers += [(b"x-amz-date", stamp.encode()), (b"x-amz-content-sha256", digest.encode())]
    if credentials.token:
        request.headers.append((b"x-amz-security-token", credentials.token.encode()))
    signed, canonical = _canonical(request, digest)
    place = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{place}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(credentials.secret_key, stamp[:8], scope.region, scope.service)
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    value = f"{_ALGORITHM} Credential={credentials.access_key}/{place}, SignedHeaders={signed}, Signature={signature}"
    request.headers.append((b"authorization", value.encode()))


def _canonical(request: UpstreamRequest, digest: str) -> tuple[str, str]:
    """The names of the signed headers, and the canonical request."""
    path, _, query = request.target.decode("latin-1").partition("?")
    headers = sorted(_signed_headers(request))
    names = ";".join(name for name, _ in headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    method = request.method.decode("latin-1")
    return names, f"{method}\n{quote(path or '/', safe='/~')}\n{_query(query)}\n{lines}\n{names}\n{digest}"


def _signed_headers(request: UpstreamRequest) -> list[tuple[str, str]]:
    headers: HeaderList = [(b"host", request.origin.host_header), *request.headers]
    return [
        (name.decode("latin-1"), " ".join(value.decode("latin-1").split())) for name, value in headers if name not in _UNSIGNED
    ]


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(f"{name}={value}" for name, value in sorted((quote(n, safe="~"), quote(v, safe="~")) for n, v in pairs))


@lru_cache(maxsize=32)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """The signing key of a day."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
