"""The floor under a Python gateway: a bare relay with no JSON, no keys, no log. It tells what a stack costs before any feature.

The same ASGI callable runs under two servers: Granian, whose sockets live in a Rust thread beside the Python loop, and
`loop`, a minimal listener on the very loop that also holds the upstream connections, so that no request changes threads.
Not a product: no timeouts, no limits, no TLS, no pipelining, and it believes everything that it reads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import httptools
import uvloop

Message = dict[str, Any]
Send = Callable[[Message], Any]
HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server"})
pool: list[Upstream] = []


class Upstream(asyncio.Protocol):
    """One pooled connection; it sends to the client from its own callbacks, without waking the request's task per chunk.

    Granian's `send` does its work in the call and returns a finished awaitable, unless the body channel is full: then a
    future-like one, whose callback resumes reading. So what the start returned tells the type of a finished awaitable.
    """

    alive = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.done: asyncio.Future[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self.done is not None and not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("upstream closed"))

    def exchange(self, request: bytes, send: Send) -> asyncio.Future[None]:
        self.send = send
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        self.finished: type | None = None
        self.is_stream = self.ended = False
        self.done = asyncio.get_running_loop().create_future()
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(request)
        return self.done

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self.is_stream = value.startswith(b"text/event-stream")
        if name not in HOP_BY_HOP:
            self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.ended = True

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        if not (self.is_stream or self.ended):
            return
        if self.finished is None:
            start = {"type": "http.response.start", "status": self.parser.get_status_code(), "headers": self.headers}
            self.finished = type(self.send(start))
        if self.parts or self.ended:
            body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
            self.parts.clear()
            sent = self.send({"type": "http.response.body", "body": body, "more_body": not self.ended})
            if type(sent) is not self.finished:
                self.transport.pause_reading()
                sent.add_done_callback(self.resume)
        if self.ended and self.done is not None:
            self.done.set_result(None)

    def resume(self, _: object) -> None:
        self.transport.resume_reading()


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    parts = [b"POST %b HTTP/1.1\r\n" % scope["raw_path"]]
    missing = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            missing = int(value)
        if name not in HOP_BY_HOP:
            parts.append(b"%b: %b\r\n" % (name, value))
    parts.append(b"\r\n")
    while missing > 0:  # by length: Granian says more_body with the last byte too, and each further receive costs 4-10 us
        body = (await receive())["body"]
        missing -= len(body)
        parts.append(body)
    upstream = pool.pop() if pool else None
    if upstream is None or not upstream.alive:
        host, port = os.environ["FLOOR_UPSTREAM"].split(":")
        _, upstream = await asyncio.get_running_loop().create_connection(Upstream, host, int(port))
    await upstream.exchange(b"".join(parts), send)
    pool.append(upstream)


class Finished:
    """An awaitable that is done, with or without a value: what `send` and `receive` of the loop listener return."""

    __slots__ = ("value",)

    def __init__(self, value: Message | None = None) -> None:
        self.value = value

    def __await__(self) -> Finished:
        return self

    __iter__ = __await__

    def __next__(self) -> None:
        raise StopIteration(self.value)


NOTHING = Finished()


class Listener(asyncio.Protocol):
    """A client's connection as an ASGI server sees it, on the loop of the upstream connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.peer = transport.get_extra_info("peername")
        self.own = transport.get_extra_info("sockname")  # once: each of the two is a system call
        self.parser = httptools.HttpRequestParser(self)
        self.headers: list[tuple[bytes, bytes]] = []
        self.parts: list[bytes] = []
        self.loop = asyncio.get_running_loop()
        self.room: asyncio.Future[None] | None = None  # there while the client's side is full

    def pause_writing(self) -> None:
        self.room = self.loop.create_future()

    def resume_writing(self) -> None:
        if self.room is not None:
            self.room.set_result(None)
            self.room = None

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.path, _, self.query = url.partition(b"?")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self.parser.get_http_version(),
            "method": self.parser.get_method().decode("latin-1"),
            "scheme": "http",
            "path": self.path.decode("latin-1"),
            "raw_path": self.path,
            "query_string": self.query,
            "root_path": "",
            "headers": self.headers,
            "client": self.peer,
            "server": self.own,
            "state": {},
        }
        self.headers = []
        self.task = self.loop.create_task(app(scope, self.receive, self.send))  # type: ignore[arg-type]  # see Finished

    def receive(self) -> Finished:
        body = b"".join(self.parts)
        self.parts.clear()
        return Finished({"type": "http.request", "body": body, "more_body": False})

    def send(self, message: Message) -> Finished | asyncio.Future[None]:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            self.chunked = all(name != b"content-length" for name, _ in headers)
            self.head = b"HTTP/1.1 %d \r\n%b%b\r\n" % (
                message["status"],
                b"".join([b"%b: %b\r\n" % header for header in headers]),
                b"transfer-encoding: chunked\r\n" if self.chunked else b"",
            )
            return NOTHING
        body = message["body"]
        if self.chunked:
            last = b"" if message["more_body"] else b"0\r\n\r\n"
            body = b"%x\r\n%b\r\n%b" % (len(body), body, last) if body else last
        self.transport.write(self.head + body)
        self.head = b""
        return NOTHING if self.room is None else self.room


async def serve_loop(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Listener, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def serve_granian(port: int, options: argparse.Namespace) -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, TaskImpl
    from granian.log import LogLevels

    Granian(
        f"{__name__ if __name__ != '__main__' else 'floor'}:app",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes(options.http),
        websockets=options.websockets,
        loop=Loops(options.loop),
        runtime_mode=RuntimeModes(options.runtime_mode),
        runtime_threads=options.runtime_threads,
        task_impl=TaskImpl(options.task_impl),
        backlog=4096,
        backpressure=4096,
        log_level=LogLevels.error,
    ).serve()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="HOST:PORT")
    parser.add_argument("--server", choices=("granian", "loop"), default="granian")
    parser.add_argument("--http", default="1", help="Granian's option, as the following ones")
    parser.add_argument("--websockets", action="store_true")
    parser.add_argument("--loop", default="uvloop")
    parser.add_argument("--runtime-mode", default="auto")
    parser.add_argument("--runtime-threads", type=int, default=1)
    parser.add_argument("--task-impl", default="asyncio")
    options = parser.parse_args()
    os.environ["FLOOR_UPSTREAM"] = options.upstream
    if options.server == "loop":
        uvloop.run(serve_loop(options.port))
    else:
        serve_granian(options.port, options)


if __name__ == "__main__":
    main()
