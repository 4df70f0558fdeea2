"""Which implementation an origin gets, and how an upstream's URL is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lanes import request
from raw_upstream import ok, raw_upstream

from anyllm_fast.config.settings import Proxy
from anyllm_fast.errors import ConfigError
from anyllm_fast.upstream import Origin
from anyllm_fast.upstream.client import RoutedUpstream, UpstreamOptions, open_upstream, parse_origin
from anyllm_fast.upstream.http1 import Http1Upstream
from anyllm_fast.upstream.over_httpx import HttpxUpstream

HTTP, HTTPS = Origin("http", "api.example.com", 80), Origin("https", "api.example.com", 443)


def chosen(options: UpstreamOptions, origin: Origin) -> object:
    upstream = open_upstream(options)
    return upstream._route(origin) if isinstance(upstream, RoutedUpstream) else upstream


def test_without_a_wish_everything_takes_the_fast_path() -> None:
    assert isinstance(open_upstream(UpstreamOptions()), Http1Upstream)


def test_http2_is_for_https_only() -> None:
    options = UpstreamOptions(http2=True)
    assert isinstance(chosen(options, HTTPS), HttpxUpstream)
    assert isinstance(chosen(options, HTTP), Http1Upstream)


@pytest.mark.parametrize("url", ["http://p:3128", "https://u:p%40w@p", "socks5://p:1080", "socks5h://[::1]:1080"])
def test_a_proxy_is_taken_by_the_upstreams_scheme(url: str) -> None:
    options = UpstreamOptions(proxy=Proxy(https=url, no_proxy=("internal.example",)))
    assert isinstance(chosen(options, HTTPS), HttpxUpstream)
    assert isinstance(chosen(options, HTTP), Http1Upstream)
    assert isinstance(chosen(options, Origin("https", "a.internal.example", 443)), Http1Upstream)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "a.localhost"])
def test_loopback_never_goes_through_a_proxy(host: str) -> None:
    options = UpstreamOptions(proxy=Proxy(http="http://p:1", https="http://p:1"))
    assert isinstance(chosen(options, Origin("http", host, 8000)), Http1Upstream)


def test_one_proxy_is_one_upstream_however_many_origins() -> None:
    upstream = open_upstream(UpstreamOptions(proxy=Proxy(https="http://p:1")))
    assert isinstance(upstream, RoutedUpstream)
    routes = {id(upstream._route(Origin("https", f"{number}.example.com", 443))) for number in range(3000)}
    assert len(routes) == 1
    assert len(upstream._routes) <= 1024


async def test_a_routed_request_arrives_and_close_closes_all() -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream(UpstreamOptions(proxy=Proxy(http="http://127.0.0.1:1"), http2=True))
        reply = await upstream.send(request(raw.port))
        assert await reply.read(9) == b"hi"
        await upstream.close()
        assert await raw.closed_within(1)


def test_files_that_cannot_be_used_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="failed to read CA cert file"):
        open_upstream(UpstreamOptions(ca_file=str(tmp_path / "missing")))


def test_secrets_are_not_shown_by_repr() -> None:
    options = UpstreamOptions(p12_password="hunter2", proxy=Proxy(http="http://u:hunter2@p"))
    assert "hunter2" not in repr(options)


def test_the_fast_path_loads_nothing_of_the_slow_one() -> None:
    code = (
        "import sys; from anyllm_fast.upstream.client import UpstreamOptions, open_upstream; open_upstream(UpstreamOptions());"
        "slow = ('httpcore', 'httpx', 'anyio', 'h2', 'brotli', 'zstandard', 'cryptography');"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_slow_path_needs_no_httptools() -> None:
    code = (
        "import sys; sys.modules['httptools'] = None;"
        "from anyllm_fast.upstream.client import UpstreamOptions, open_upstream;"
        "print(type(open_upstream(UpstreamOptions())).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=True
    )
    assert done.stdout.strip() == "HttpxUpstream"


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://api.openai.com", Origin("https", "api.openai.com", 443), ""),
        ("https://api.openai.com/v1/", Origin("https", "api.openai.com", 443), "/v1"),
        ("http://localhost:11434/v1", Origin("http", "localhost", 11434), "/v1"),
        ("HTTP://Example.COM:80", Origin("http", "example.com", 80), ""),
        ("http://[::1]:8000/a/b//", Origin("http", "::1", 8000), "/a/b"),
        ("http://my_host:1", Origin("http", "my_host", 1), ""),
        ("https://bücher.example/%7Ea", Origin("https", "xn--bcher-kva.example", 443), "/%7Ea"),
    ],
)
def test_a_url_is_an_origin_and_a_path(url: str, origin: Origin, path: str) -> None:
    assert parse_origin(url) == (origin, path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "it has no scheme"),
        ("api.example.com/v1", "it has no scheme"),
        ("ftp://x", "scheme 'ftp' not allowed, use http or https"),
        ("http://", "URL has no host"),
        ("http:///v1", "URL has no host"),
        ("http://:80", "URL has no host"),
        ("http://x:99999", "Port out of range"),
        ("http://x:abc", "Port could not be cast"),
        ("http://x:0", "port 0"),
        ("http://user:pw@x", "URL holds credentials"),
        ("http://x/a?b=c", "query"),
        ("http://x/a#b", "fragment"),
        ("http://x/a b", "white space"),
        ("http://x\r\nevil: 1", "control character"),
        ("http://x\\@y", "backslash"),
        ("http://x/\u00e9", "percent-encoded"),
        ("http://a<b>", "no host name"),
        ("http://[::1", "Invalid IPv6"),
        ("http://" + "a" * 300 + "\u00e9.example", "no DNS name"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_origin(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("origin", "header"),
    [(HTTPS, b"api.example.com"), (Origin("https", "x", 80), b"x:80"), (Origin("http", "::1", 8000), b"[::1]:8000")],
)
def test_the_host_header_names_a_port_only_if_it_is_not_the_usual(origin: Origin, header: bytes) -> None:
    assert origin.host_header == header
