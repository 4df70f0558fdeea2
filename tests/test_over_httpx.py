"""What only the httpcore implementation does: proxies, SOCKS, HTTP/2. The common rules are in test_upstream.py."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpcore
import pytest
import trustme
from lanes import Open, httpx_lanes, request, settle, until
from raw_upstream import CHUNKED, LAST_CHUNK, Hang, chunk, ok, raw_upstream

from anyllm_fast.errors import UpstreamBroken, UpstreamUnreachable
from anyllm_fast.upstream import Timeouts
from anyllm_fast.upstream.tls import TlsOptions, open_context

CA = trustme.CA()


def server_tls(*protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("localhost", "upstream.example").configure_cert(context)
    context.set_alpn_protocols(list(protocols))
    return context


def client_tls(tmp_path: Path) -> ssl.SSLContext:
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return open_context(TlsOptions(ca_file=str(tmp_path / "ca.pem")))


class Proxy:
    """A forward proxy on loopback that leads every name to one port: HTTP (absolute form and CONNECT) and SOCKS5."""

    def __init__(self, target: int, answer: bytes = b"") -> None:
        self.target = target
        self.answer = answer  # instead of a tunnel
        self.heads: list[bytes] = []
        self.port = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            first = await reader.readexactly(1)
            await (self.socks(reader, writer) if first == b"\x05" else self.http(first, reader, writer))
        writer.close()
        self.open -= 1

    async def http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.answer:
            writer.write(self.answer)
            await writer.drain()
        elif head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self.tunnel(reader, writer)
        else:
            await self.tunnel(reader, writer, head.replace(b"http://upstream.example", b"", 1))

    async def socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if b"\x02" in methods:
            writer.write(b"\x05\x02")
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            self.heads.append(user + b":" + password)
            writer.write(b"\x01\x00")
        else:
            writer.write(b"\x05\x00")
        await reader.readexactly(4)
        self.heads.append(await reader.readexactly((await reader.readexactly(1))[0]))
        await reader.readexactly(2)
        writer.write(self.answer or b"\x05\x00\x00\x01" + bytes(6))
        if not self.answer:
            await self.tunnel(reader, writer)

    async def tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes = b"") -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        far_writer.write(first)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


@contextlib.asynccontextmanager
async def proxy_to(target: int, answer: bytes = b"") -> AsyncIterator[Proxy]:
    proxy = Proxy(target, answer)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    server.close()


@httpx_lanes
async def test_plain_http_goes_through_a_forward_proxy(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw, proxy_to(raw.port) as proxy:
        auth = (b"user", b"p:w")
        upstream = open_upstream(proxy=httpcore.Proxy(f"http://127.0.0.1:{proxy.port}", auth=auth))
        reply = await upstream.send(request(80, host="upstream.example"))
        assert await reply.read(9) == b"hi"
        assert proxy.heads[0].startswith(b"POST http://upstream.example/v1/chat/completions HTTP/1.1\r\n")
        assert b"Basic " + base64.b64encode(b"user:p:w") in proxy.heads[0]
        assert raw.requests[0].header(b"host") == b"upstream.example"
        await upstream.close()


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
@httpx_lanes
async def test_https_goes_through_a_tunnel_that_is_kept(open_upstream: Open, tmp_path: Path, scheme: str) -> None:
    stream = [CHUNKED + chunk(b"a"), chunk(b"b") + LAST_CHUNK]
    async with raw_upstream([ok(b"hi")], stream, [ok(b"hi")], tls=server_tls("http/1.1")) as raw, proxy_to(raw.port) as proxy:
        upstream = open_upstream(
            client_tls(tmp_path), proxy=httpcore.Proxy(f"{scheme}://127.0.0.1:{proxy.port}", auth=(b"user", b"pw"))
        )
        for expected in (b"hi", b"ab", b"hi"):
            reply = await upstream.send(request(443, b"x" * 100_000, scheme="https", host="upstream.example"))
            assert await reply.read(9) == expected
        assert len(raw.connections) == 1
        if scheme == "http":
            assert proxy.heads[0].startswith(b"CONNECT upstream.example:443 HTTP/1.1\r\n")
            assert b"authorization" not in proxy.heads[0].replace(b"Proxy-Authorization", b"").lower()
        else:
            assert proxy.heads == [b"user:pw", b"upstream.example"], "the name is resolved by the proxy"
        await upstream.close()


@httpx_lanes
async def test_a_stale_tunnel_is_replaced_unseen(open_upstream: Open, tmp_path: Path) -> None:
    async with raw_upstream([ok(b"hi")], tls=server_tls("http/1.1")) as raw, proxy_to(raw.port) as proxy:
        upstream = open_upstream(client_tls(tmp_path), proxy=httpcore.Proxy(f"http://127.0.0.1:{proxy.port}"))
        for _ in range(3):
            reply = await upstream.send(request(443, scheme="https", host="upstream.example"))
            assert await reply.read(9) == b"hi"
            raw.close_idle()
        assert len(raw.connections) == 3
        await upstream.close()


@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        ("http", b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"),
        ("socks5", b"\x05\x05\x00\x01" + bytes(6)),
    ],
)
@httpx_lanes
async def test_a_proxys_refusal_is_unreachable(open_upstream: Open, tmp_path: Path, scheme: str, answer: bytes) -> None:
    async with proxy_to(1, answer) as proxy:
        upstream = open_upstream(client_tls(tmp_path), proxy=httpcore.Proxy(f"{scheme}://127.0.0.1:{proxy.port}"))
        with pytest.raises(UpstreamUnreachable, match=r"cannot connect to upstream\.example:443: .*(407|refused)"):
            await upstream.send(request(443, scheme="https", host="upstream.example"))
        await upstream.close()


@httpx_lanes
async def test_a_proxy_that_says_nothing_is_a_connect_that_takes_too_long(open_upstream: Open, tmp_path: Path) -> None:
    async with raw_upstream([Hang()]) as silent:
        upstream = open_upstream(client_tls(tmp_path), proxy=httpcore.Proxy(silent.url))
        with pytest.raises(UpstreamUnreachable, match=r"no connection within 0\.1 s"):
            await upstream.send(request(443, scheme="https", host="upstream.example", timeouts=Timeouts(connect=0.1)))
        assert await silent.closed_within(1)
        await upstream.close()


@httpx_lanes
async def test_leaving_closes_the_tunnel_too(open_upstream: Open, tmp_path: Path) -> None:
    async with raw_upstream([CHUNKED + chunk(b"a"), Hang()], tls=server_tls("http/1.1")) as raw, proxy_to(raw.port) as proxy:
        upstream = open_upstream(client_tls(tmp_path), proxy=httpcore.Proxy(f"http://127.0.0.1:{proxy.port}"))
        reply = await upstream.send(request(443, scheme="https", host="upstream.example"))
        assert await reply.chunk() == b"a"
        reply.abort()
        assert await raw.closed_within(0.5)
        await until(lambda: proxy.open == 0)
        await upstream.close()


# HTTP/2


class H2Server(asyncio.Protocol):
    """Answers every request with its body's size in two frames; to /hang only the first of them; to /reset with a reset."""

    def __init__(self, seen: list[H2Server]) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.paths: dict[int, bytes] = {}
        self.sizes: dict[int, int] = {}
        self.headers: list[Any] = []
        self.closed = asyncio.Event()
        seen.append(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.headers = list(event.headers)
                self.paths[event.stream_id] = dict(event.headers)[b":path"]
                self.sizes[event.stream_id] = 0
            elif isinstance(event, h2.events.DataReceived):
                self.sizes[event.stream_id] += len(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.answer(event.stream_id)
        self.flush()

    def answer(self, stream: int) -> None:
        path = self.paths[stream]
        self.h2.send_headers(stream, [(":status", "200"), ("x-a", "1")])
        self.h2.send_data(stream, b"got ")
        if path == b"/reset":
            self.h2.reset_stream(stream, 2)
        elif path == b"/die":
            self.flush()
            self.transport.abort()
        elif path != b"/hang":
            self.h2.send_data(stream, b"%d" % self.sizes[stream], end_stream=True)


@contextlib.asynccontextmanager
async def h2_server() -> AsyncIterator[tuple[int, list[H2Server]]]:
    seen: list[H2Server] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: H2Server(seen), "127.0.0.1", 0, ssl=server_tls("h2", "http/1.1"))
    yield server.sockets[0].getsockname()[1], seen
    server.close()


@httpx_lanes
async def test_http2_is_spoken_where_it_is_offered(open_upstream: Open, tmp_path: Path) -> None:
    async with h2_server() as (port, seen):
        upstream = open_upstream(client_tls(tmp_path), http2=True)
        for size in (0, 10, 500_000):
            reply = await upstream.send(request(port, b"x" * size, scheme="https", host="localhost"))
            assert (reply.status, reply.http_version, reply.headers) == (200, "2", [(b"x-a", b"1")])
            assert await reply.read(99) == b"got %d" % size
        assert len(seen) == 1
        names = [name for name, _ in seen[0].headers]
        assert b"host" not in names
        assert names.count(b":authority") == 1
        assert dict(seen[0].headers)[b"accept-encoding"] == b"identity"
        await upstream.close()


@httpx_lanes
async def test_http1_is_spoken_where_http2_is_not_offered(open_upstream: Open, tmp_path: Path) -> None:
    async with raw_upstream([ok(b"hi")], tls=server_tls("http/1.1")) as raw:
        upstream = open_upstream(client_tls(tmp_path), http2=True)
        reply = await upstream.send(request(raw.port, scheme="https", host="localhost"))
        assert (reply.http_version, await reply.read(9)) == ("1.1", b"hi")
        await upstream.close()


@httpx_lanes
async def test_leaving_an_http2_stream_stops_the_upstream(open_upstream: Open, tmp_path: Path) -> None:
    async with h2_server() as (port, seen):
        upstream = open_upstream(client_tls(tmp_path), http2=True)
        hang = request(port, scheme="https", host="localhost")
        hang.target = b"/hang"
        left, stays = await asyncio.gather(upstream.send(hang), upstream.send(hang))
        assert await left.chunk() == b"got "
        left.abort()
        await until(lambda: [peer for peer in seen if peer.closed.is_set()])
        await settle()
        assert [peer.closed.is_set() for peer in seen].count(False) == 1, "the other stream has a connection of its own"
        assert await stays.chunk() == b"got "
        stays.abort()
        await until(lambda: all(peer.closed.is_set() for peer in seen))
        await upstream.close()


@pytest.mark.parametrize("path", [b"/reset", b"/die"])
@httpx_lanes
async def test_a_cut_http2_stream_is_an_error_not_an_end(open_upstream: Open, tmp_path: Path, path: bytes) -> None:
    async with h2_server() as (port, _):
        upstream = open_upstream(client_tls(tmp_path), http2=True)
        cut = request(port, scheme="https", host="localhost")
        cut.target = path
        with pytest.raises(UpstreamBroken):
            reply = await upstream.send(cut)
            while await reply.chunk():
                pass
        whole = await upstream.send(request(port, scheme="https", host="localhost"))
        assert await whole.read(99) == b"got 2"
        await upstream.close()


@httpx_lanes
async def test_what_is_left_over_of_an_answer_is_never_the_next_one(open_upstream: Open, tmp_path: Path) -> None:
    poison = ok(b"poison")
    record = ok(b"1") + poison
    async with raw_upstream([record], [ok(b"2"), b"", poison], [ok(b"3")], tls=server_tls("http/1.1")) as raw:
        upstream = open_upstream(client_tls(tmp_path))
        for expected in (b"1", b"2", b"3"):
            reply = await upstream.send(request(raw.port, scheme="https", host="localhost"))
            assert await reply.read(99) == expected
            await settle()
        assert [seen.connection for seen in raw.requests] == [0, 1, 2]
        await upstream.close()
