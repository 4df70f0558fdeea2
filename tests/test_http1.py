"""The fast path's own rules: what it writes, what it keeps, what it leaves behind. The common ones are in test_upstream.py."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from lanes import Open, http1_lanes, request, settle, until
from raw_upstream import CHUNKED, LAST_CHUNK, Close, Early, Flood, Hang, Reset, Sleep, Until, chunk, head, ok, raw_upstream

from anyllm_fast.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from anyllm_fast.upstream import Timeouts, Upstream, connection, dial, http1


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def connections(upstream: Upstream) -> list[connection.Http1Connection]:
    assert isinstance(upstream, http1.Http1Upstream)
    return list(upstream._connections)


@http1_lanes
async def test_a_small_request_leaves_in_one_write(open_upstream: Open) -> None:
    reads: list[bytes] = []

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            reads.append(data)
            self.transport.write(ok(b"hi"))

    server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
    upstream = open_upstream()
    port = server.sockets[0].getsockname()[1]
    for _ in range(20):
        await (await upstream.send(request(port, b"x" * 1000))).read(9)
    assert len(reads) == 20
    assert all(read.endswith(b"\r\n\r\n" + b"x" * 1000) for read in reads)
    await upstream.close()
    server.close()


@http1_lanes
async def test_sockets_do_not_wait_to_send_and_notice_dead_peers(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        await (await upstream.send(request(raw.port))).read(9)
        sock = connections(upstream)[0].transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await upstream.close()


def refuse_early(listener: socket.socket, times: int) -> None:
    """A server that reads the head only, answers and closes: the kernel resets the connection under the rest of the body."""
    for _ in range(times):
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        while b"\r\n\r\n" not in received:
            received += peer.recv(4096)
        peer.sendall(ok(b"too big", b"connection: close", status=b"413 Content Too Large"))
        peer.close()


@pytest.mark.parametrize("size", [300_000, 8_000_000])
@http1_lanes
async def test_an_answer_before_the_end_of_the_request_is_given(open_upstream: Open, size: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse_early, args=(listener, 20), daemon=True)
        thread.start()
        upstream = open_upstream()
        for _ in range(20):
            reply = await upstream.send(request(listener.getsockname()[1], b"x" * size))
            assert (reply.status, await reply.read(100)) == (413, b"too big")
        await upstream.close()
        thread.join(5)


@http1_lanes
async def test_an_answer_is_given_while_the_upstream_does_not_read(open_upstream: Open) -> None:
    refusal = ok(b"no", status=b"429 Too Many Requests")
    async with raw_upstream([Early(), refusal, Hang()], [ok(b"hi")]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port, b"x" * 20_000_000))
        assert (reply.status, await reply.read(100)) == (429, b"no")
        assert connections(upstream)[0].transport.is_closing(), "half a request was sent: no other may follow it"
        assert await (await upstream.send(request(raw.port))).read(9) == b"hi"
        await upstream.close()


@http1_lanes
async def test_an_upstream_that_takes_nothing_of_the_request_times_out(open_upstream: Open) -> None:
    async with raw_upstream([Early(), Hang()]) as raw:
        upstream = open_upstream()
        limits = Timeouts(first_byte=3, idle=0.1)
        with pytest.raises(UpstreamTimeout, match=r"took nothing of the request for 0\.1 s"):
            await upstream.send(request(raw.port, b"x" * 20_000_000, timeouts=limits))
        await upstream.close()


def read_slowly(listener: socket.socket, size: int) -> None:
    """A server that takes a megabyte every 40 ms and then answers."""
    peer, _ = listener.accept()
    taken = 0
    while taken < size:
        taken += len(peer.recv(1 << 20))
        time.sleep(0.04)
    peer.sendall(ok(b"all of it"))
    peer.close()


@http1_lanes
async def test_an_upstream_that_takes_the_request_slowly_is_waited_for(open_upstream: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=read_slowly, args=(listener, 20_000_000), daemon=True)
        thread.start()
        upstream = open_upstream()
        limits = Timeouts(first_byte=5, idle=0.3)
        reply = await upstream.send(request(listener.getsockname()[1], b"x" * 20_000_000, timeouts=limits))
        assert await reply.read(100) == b"all of it"
        await upstream.close()
        thread.join(5)


@http1_lanes
async def test_interim_answers_without_end_are_refused(open_upstream: Open) -> None:
    interim = head(b"x-a: " + b"v" * 1000, status=b"103 Early Hints")
    async with raw_upstream([Flood(1 << 20, interim), Hang()]) as raw:
        upstream = open_upstream()
        with pytest.raises(UpstreamBroken, match="more than 65536 bytes of headers"):
            await upstream.send(request(raw.port))
        await upstream.close()


@pytest.mark.parametrize("endless", [b"1;" + b"e" * 70_000, b"0\r\nx-t: " + b"t" * 70_000, b"0\r\n" + b"a: b\r\n" * 20_000])
@http1_lanes
async def test_extensions_and_trailers_without_end_are_refused(open_upstream: Open, endless: bytes) -> None:
    async with raw_upstream([CHUNKED + chunk(b"x"), Sleep(0.01), endless, Flood(1 << 20), Hang()]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        with pytest.raises(UpstreamBroken):
            while await reply.chunk():
                pass
        await upstream.close()


@http1_lanes
async def test_a_protocol_switch_is_refused(open_upstream: Open) -> None:
    async with raw_upstream([head(b"connection: upgrade", b"upgrade: x", status=b"101 Switching Protocols")]) as raw:
        upstream = open_upstream()
        with pytest.raises(UpstreamBroken, match="switched protocols"):
            await upstream.send(request(raw.port))
        await upstream.close()


@http1_lanes
async def test_an_offer_to_switch_protocols_is_no_switch(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi", b"upgrade: h2,h2c", b"connection: Upgrade, Keep-Alive")]) as raw:
        upstream = open_upstream()
        for _ in range(2):
            assert await (await upstream.send(request(raw.port))).read(9) == b"hi"
        assert len(raw.connections) == 1
        await upstream.close()


@http1_lanes
async def test_what_came_before_garbage_in_the_same_read_is_given_first(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED + chunk(b"good") + chunk(b" and") + b"zz\r\n", Hang()]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        assert await reply.chunk() == b"good and"
        with pytest.raises(UpstreamBroken, match="not answer in valid HTTP"):
            await reply.chunk()
        await upstream.close()


@http1_lanes
async def test_a_connection_whose_answer_is_not_taken_yet_can_be_used_again(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"x" * 200_000)], [ok(b"hi")]) as raw:
        upstream = open_upstream()
        large = await upstream.send(request(raw.port))
        await settle()
        small = await upstream.send(request(raw.port))
        assert await small.read(9) == b"hi"
        assert await large.read(1 << 20) == b"x" * 200_000
        await upstream.close()


@http1_lanes
async def test_a_late_death_is_not_taken_for_a_stale_connection(open_upstream: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(connection, "STALE_SECONDS", 0.05)
    async with raw_upstream([ok(b"1")], [Sleep(0.2), Close()], [ok(b"no")]) as raw:
        upstream = open_upstream()
        await (await upstream.send(request(raw.port))).read(9)
        with pytest.raises(UpstreamBroken, match="before it answered"):
            await upstream.send(request(raw.port))
        assert len(raw.requests) == 2, "the upstream worked on it: sending it again would do it twice"
        await upstream.close()


@http1_lanes
async def test_a_first_byte_timeout_is_not_taken_for_a_stale_connection(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"1")], [Hang()]) as raw:
        upstream = open_upstream()
        limits = Timeouts(first_byte=0.1)
        await (await upstream.send(request(raw.port, timeouts=limits))).read(9)
        with pytest.raises(UpstreamTimeout):
            await upstream.send(request(raw.port, timeouts=limits))
        assert len(raw.requests) == 2
        await upstream.close()


@http1_lanes
async def test_the_upstreams_keep_alive_header_is_heeded(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi", b"keep-alive: timeout=1, max=100")]) as raw:
        upstream = open_upstream()
        for _ in range(2):
            await (await upstream.send(request(raw.port))).read(9)
            await settle()
        assert len(raw.connections) == 2, "one second less a margin of one is never"
        await upstream.close()


@http1_lanes
async def test_the_newest_idle_connection_is_taken_first(open_upstream: Open) -> None:
    async with raw_upstream([Sleep(0.05), ok(b"hi")]) as raw:
        upstream = open_upstream()
        replies = await asyncio.gather(*(upstream.send(request(raw.port)) for _ in range(3)))
        for reply in replies:
            await reply.read(9)
        for _ in range(4):
            await (await upstream.send(request(raw.port))).read(9)
        assert len(raw.connections) == 3
        assert len({seen.connection for seen in raw.requests[3:]}) == 1
        await upstream.close()


@http1_lanes
async def test_origins_are_forgotten_and_their_connections_are_not_lost(open_upstream: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(http1, "SWEEP_SECONDS", 0.05)
    go = asyncio.Event()
    async with raw_upstream([ok(b"hi")], [Until(go), ok(b"late")], [ok(b"hi")]) as raw:
        upstream = open_upstream(idle_seconds=0.08)
        assert isinstance(upstream, http1.Http1Upstream)
        await (await upstream.send(request(raw.port))).read(9)
        late = asyncio.ensure_future(upstream.send(request(raw.port)))
        await asyncio.sleep(0.2)
        assert not upstream._hosts
        go.set()
        assert await (await late).read(9) == b"late"
        assert await (await upstream.send(request(raw.port))).read(9) == b"hi"
        assert len(raw.connections) == 1
        await asyncio.sleep(0.25)
        assert raw.connections[0].closed_at is not None
        assert not upstream._hosts
        await upstream.close()


@http1_lanes
async def test_cancelling_at_the_moment_of_the_answer_leaves_the_pool_whole(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        for _ in range(5):
            task = asyncio.ensure_future(upstream.send(request(raw.port)))
            await until(lambda: connections(upstream) and connections(upstream)[0].used)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await (await upstream.send(request(raw.port))).read(9) == b"hi"
        await upstream.close()


@http1_lanes
async def test_cancelling_while_connecting_leaves_no_socket(open_upstream: Open) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the queue of the listener is full: the next connect hangs
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        upstream = open_upstream()
        before = open_files()
        task = asyncio.ensure_future(upstream.send(request(port)))
        await settle()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await settle()
        assert open_files() == before
        limits = Timeouts(connect=0.1)
        with pytest.raises(UpstreamUnreachable, match=r"no connection within 0\.1 s"):
            await upstream.send(request(port, timeouts=limits))
        with pytest.raises(UpstreamTimeout, match=r"total limit of 0\.1 s"):
            await upstream.send(request(port, timeouts=Timeouts(connect=3, total=0.1)))
        await upstream.close()
        for filler in fillers:
            filler.close()


@http1_lanes
async def test_a_connection_is_freed_without_the_collector(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"1")], [CHUNKED + chunk(b"x"), Hang()], [Reset()]) as raw:
        upstream = open_upstream()

        def living() -> int:
            return sum(isinstance(each, connection.Http1Connection) for each in gc.get_objects())

        gc.collect()
        gc.disable()
        try:
            await (await upstream.send(request(raw.port))).read(9)
            reply = await upstream.send(request(raw.port))
            assert living() == 1
            reply.abort()
            await settle()
            try:
                await upstream.send(request(raw.port))
                pytest.fail("it was reset")
            except UpstreamBroken:  # pytest.raises would hold the traceback
                pass
            await settle()
            assert (connections(upstream), living()) == ([], 0)
        finally:
            gc.enable()
        await upstream.close()


@http1_lanes
async def test_a_flood_that_nobody_reads_costs_no_memory(open_upstream: Open) -> None:
    async with raw_upstream([CHUNKED, Flood(50 << 20, chunk(b"x" * 60000)), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        before = resident()
        reply = await upstream.send(request(raw.port))
        await asyncio.sleep(0.5)
        assert 0 < raw.flooded < 16 << 20
        assert resident() - before < 8 << 20
        reply.abort()
        await upstream.close()


@http1_lanes
async def test_a_busy_connection_makes_one_timer(open_upstream: Open) -> None:
    loop = asyncio.get_running_loop()
    async with raw_upstream([CHUNKED, *(step for _ in range(20) for step in (chunk(b"x"), Sleep(0.001))), LAST_CHUNK]) as raw:
        upstream = open_upstream()
        await (await upstream.send(request(raw.port))).read(99)
        timer = connections(upstream)[0]._timer
        for _ in range(3):
            await (await upstream.send(request(raw.port))).read(99)
        assert connections(upstream)[0]._timer is timer
        assert timer is not None
        assert timer.when() > loop.time()
        await upstream.close()


# Addresses

LOCAL: list[dial.Address] = [
    (socket.AF_INET6, ("::1", 1)),
    (socket.AF_INET, ("127.0.0.1", 1)),
    (socket.AF_INET, ("127.0.0.2", 1)),
]


async def test_families_take_turns() -> None:
    six = [(socket.AF_INET6, (f"::{number}", 1)) for number in range(3)]
    four = [(socket.AF_INET, (f"10.0.0.{number}", 1)) for number in range(2)]
    assert dial._take_turns([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert dial._take_turns([*four, *six]) == [four[0], six[0], four[1], six[1], six[2]]


async def test_a_silent_address_gets_a_rival_and_the_loser_is_closed() -> None:
    tried: list[str] = []
    sockets: list[socket.socket] = []
    cancelled: list[str] = []

    async def connect(address: dial.Address) -> socket.socket:
        tried.append(address[1][0])
        if address[1][0] == "::1":
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled.append("::1")
                raise
        sockets.append(socket.socket())
        return sockets[-1]

    winner = await dial.race(LOCAL, connect, delay=0.05)
    await settle()
    assert tried == ["::1", "127.0.0.1"]
    assert cancelled == ["::1"]
    assert winner is sockets[0]
    winner.close()


async def test_a_failed_address_starts_the_next_at_once_and_the_first_error_is_told() -> None:
    async def refuse(address: dial.Address) -> socket.socket:
        raise ConnectionRefusedError(address[1][0])

    with pytest.raises(ConnectionRefusedError, match="::1"):
        await asyncio.wait_for(dial.race(LOCAL, refuse, delay=100), 1)


@http1_lanes
async def test_a_name_with_several_addresses_finds_the_one_that_listens(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream()
        assert await (await upstream.send(request(raw.port, host="localhost"))).read(9) == b"hi"
        assert raw.requests[0].header(b"host") == b"localhost:%d" % raw.port
        await upstream.close()


@http1_lanes
async def test_a_plain_port_asked_for_tls_is_unreachable(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"hi")]) as raw:
        upstream = open_upstream(ssl.create_default_context())
        with pytest.raises(UpstreamUnreachable):
            await upstream.send(request(raw.port, scheme="https", timeouts=Timeouts(connect=0.3)))
        await upstream.close()
