"""Opens the one Upstream of a worker from its options, and reads an upstream's URL. Sends nothing itself."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import msgspec

from anyllm_fast.config.proxies import proxy_for
from anyllm_fast.config.settings import Proxy

from . import Origin, Upstream, UpstreamReply, UpstreamRequest
from .tls import TlsOptions, open_context

MAX_ROUTES = 1024
_HOST = re.compile(r"[a-z0-9._~!$&'()*+,;=-]+|[0-9a-f:.]+")
_PORT = {"http": 80, "https": 443}


class UpstreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `open_upstream` needs to know.

    `http2` offers it to https origins. `idle_connections` is per origin. `idle_seconds`: load balancers keep idle connections
    for 60 s (AWS), nginx 75 s, Google 600 s, so 55 s leaves first; servers that keep them shorter often say so in a `keep-alive`
    header, which is heeded (Node, llama.cpp: 5 s), and for the rest the one replacement of a stale connection is there.
    """

    ca_file: str = ""
    p12_file: str = ""
    p12_password: str = ""
    http2: bool = False
    proxy: Proxy = Proxy()
    idle_connections: int = 256
    idle_seconds: float = 55.0

    def __repr__(self) -> str:  # passwords must not reach a log by way of a repr
        return f"UpstreamOptions(http2={self.http2}, idle_connections={self.idle_connections})"


def open_upstream(options: UpstreamOptions) -> Upstream:
    """The fast path for all it can do, httpcore for proxies, HTTP/2 and where httptools is missing. Raises ConfigError for files
    that cannot be used; without any file the TLS context is made when the first https origin is met."""
    tls_options = TlsOptions(options.ca_file, options.p12_file, options.p12_password)
    if options.ca_file or options.p12_file:
        open_context(tls_options)  # to fail now and not at the first request

    def tls() -> ssl.SSLContext:
        return open_context(tls_options)

    direct = _open_direct(options, tls)
    proxy = options.proxy
    if not proxy.http and not proxy.https and not options.http2:
        return direct
    return RoutedUpstream(options, direct, tls)


def _open_direct(options: UpstreamOptions, tls: Callable[[], ssl.SSLContext]) -> Upstream:
    try:
        from .http1 import Http1Upstream
    except ImportError:  # no httptools on this platform
        return _open_httpx(options, tls, "", False)
    return Http1Upstream(tls, options.idle_connections, options.idle_seconds)


def _open_httpx(options: UpstreamOptions, tls: Callable[[], ssl.SSLContext], proxy: str, http2: bool) -> Upstream:
    import httpcore  # 50 ms and 10 MB: only for those who use it

    from .over_httpx import HttpxUpstream

    parts = urlsplit(proxy)
    parsed: httpcore.Proxy | None = None
    if proxy:
        host = parts.hostname or ""
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
        auth = None
        if parts.username is not None:
            auth = (unquote(parts.username).encode(), unquote(parts.password or "").encode())
        url = httpcore.URL(scheme=parts.scheme.encode(), host=host.encode("idna"), port=port, target=b"/")
        parsed = httpcore.Proxy(url, auth=auth, ssl_context=tls() if parts.scheme == "https" else None)
    return HttpxUpstream(tls, parsed, http2, options.idle_connections, options.idle_seconds)


class RoutedUpstream:
    """An Upstream that takes another one by origin: through a proxy, over HTTP/2, or straight."""

    def __init__(self, options: UpstreamOptions, direct: Upstream, tls: Callable[[], ssl.SSLContext]) -> None:
        self._options = options
        self._direct = direct
        self._tls = tls
        self._others: dict[tuple[str, bool], Upstream] = {}
        self._routes: dict[Origin, Upstream] = {}

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        upstream = self._routes.get(request.origin)
        if upstream is None:
            upstream = self._route(request.origin)
        return await upstream.send(request)

    async def close(self) -> None:
        for upstream in (self._direct, *self._others.values()):
            await upstream.close()

    def _route(self, origin: Origin) -> Upstream:
        proxy = proxy_for(self._options.proxy, origin.tls, origin.host)
        http2 = self._options.http2 and origin.tls
        upstream = self._direct
        if proxy or http2:
            known = self._others.get((proxy, http2))
            upstream = known or _open_httpx(self._options, self._tls, proxy, http2)
            self._others[proxy, http2] = upstream
        if len(self._routes) >= MAX_ROUTES:  # origins may come from requests
            self._routes.clear()
        self._routes[origin] = upstream
        return upstream


def parse_origin(url: str) -> tuple[Origin, str]:
    """Where a URL leads and its path without a trailing slash ("" for none). Raises ValueError that says what is wrong."""
    if not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("invalid URL: it contains white space, a backslash or a control character")
    if "://" not in url:
        raise ValueError("invalid URL: it has no scheme, write http://... or https://...")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"invalid URL: {error}") from None
    if parts.scheme not in _PORT:
        raise ValueError(f"scheme '{parts.scheme}' not allowed, use http or https")
    if "@" in parts.netloc:
        raise ValueError("URL holds credentials, which belong into their own setting")
    if parts.query or parts.fragment:
        raise ValueError("URL must not have a query or a fragment")
    if port == 0:
        raise ValueError("invalid URL: port 0 is no port")
    if not parts.path.isascii():
        raise ValueError("invalid URL: its path is not ASCII, write it percent-encoded")
    return Origin(parts.scheme, _read_host(parts.hostname or ""), port or _PORT[parts.scheme]), parts.path.rstrip("/")


def _read_host(host: str) -> str:
    """In lower case and, for other scripts, as it stands in DNS."""
    if not host:
        raise ValueError("URL has no host")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(f"invalid URL: its host is no DNS name ({error})") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"invalid URL: '{host}' is no host name")
    return host
