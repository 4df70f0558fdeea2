"""Calls beside the data path: token endpoints and metadata servers. Small, bounded, by the gateway's proxy and authorities.

They go out by httpx, because they are few; what they need beyond that is said here once. Nothing follows a redirect: a token
request holds a secret.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from anyllm_fast.config import Backend
from anyllm_fast.config.proxies import proxy_for
from anyllm_fast.errors import UpstreamBroken, UpstreamRefused, UpstreamTimeout, UpstreamUnreachable
from anyllm_fast.upstream.tls import TlsOptions, open_context

SECONDS = 10.0
_LIMIT = 1 << 20
_SAID = 300  # characters of a refusal that are passed on


class Asking(msgspec.Struct, frozen=True):
    """One request. `form` makes it a POST."""

    url: str
    headers: dict[str, str] = {}
    form: dict[str, str] | None = None


def client_options(backend: Backend, url: str) -> dict[str, Any]:
    """Arguments of an httpx client, sync or async, for `url`."""
    parts = urlsplit(url)
    proxy = proxy_for(backend.proxy, parts.scheme == "https", parts.hostname or "")
    options: dict[str, Any] = {"timeout": SECONDS, "trust_env": False, "follow_redirects": False, "proxy": proxy or None}
    if parts.scheme == "https":
        options["verify"] = _context(_tls(backend))
    return options


def prepare(backend: Backend) -> None:
    """Loads what the first request needs, 80 ms in all, so that it does not stand in the way of calls. Raises ConfigError."""
    import httpx  # noqa: F401 - not at the head of the file: only backends that fetch tokens pay for it

    _context(_tls(backend))


def _tls(backend: Backend) -> TlsOptions:
    return TlsOptions(backend.tls.ca_file, backend.tls.p12_file, backend.tls.p12_password)


_context = lru_cache(maxsize=8)(open_context)


async def ask(backend: Backend, asking: Asking) -> dict[str, Any]:
    """The JSON object that a service answers. Raises UpstreamError, which names the URL and no secret."""
    import httpx

    method = "GET" if asking.form is None else "POST"
    try:
        async with (
            httpx.AsyncClient(**client_options(backend, asking.url)) as client,
            client.stream(method, asking.url, headers=asking.headers, data=asking.form) as reply,
        ):
            body = b""
            async for part in reply.aiter_bytes():
                body += part
                if len(body) > _LIMIT:
                    raise UpstreamBroken(f"{asking.url} answered more than {_LIMIT} bytes")
    except httpx.TimeoutException:
        raise UpstreamTimeout(f"{asking.url} did not answer within {SECONDS:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpstreamUnreachable(f"cannot reach {asking.url}: {error or type(error).__name__}") from None
    if reply.status_code != 200:
        raise refused(asking.url, reply.status_code, body)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamBroken(f"{asking.url} answered with something that is no JSON object") from None


def refused(url: str, status: int, body: bytes) -> UpstreamRefused:
    """What a token endpoint said instead of a token. It is the gateway's credential that failed and not the caller's: 401 all
    the same, for nothing that the caller sends again will help."""
    said = " ".join(body[: 4 * _SAID].decode("utf-8", "replace").split())[:_SAID]
    message = f"the gateway got no token from {url}: status {status}" + (f", {said}" if said else "")
    if status >= 500 or status == 429:
        return UpstreamRefused(message, status=503, kind="overloaded")
    return UpstreamRefused(message, status=401, kind="authentication")
