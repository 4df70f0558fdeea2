"""Drives the ASGI app without a server: one request in, the sent events out. The network behind it is a list of bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from anyllm_fast.app import App
from anyllm_fast.config import Backend, Settings
from anyllm_fast.errors import UpstreamError
from anyllm_fast.upstream import HeaderList, UpstreamRequest


class ByteReply:
    """A reply whose body is a list of reads. An exception in it is raised where it stands; a float is a pause in seconds."""

    def __init__(self, status: int, headers: HeaderList, reads: Iterable[bytes | UpstreamError | float]) -> None:
        self.status = status
        self.headers = headers
        self.http_version = "1.1"
        self.reads = list(reads)
        self.aborted = False

    async def chunk(self) -> bytes:
        while self.reads:
            item = self.reads.pop(0)
            if isinstance(item, float):
                await asyncio.sleep(item)
            elif isinstance(item, bytes):
                if item:
                    return item
            else:
                raise item
        return b""

    async def read(self, limit: int) -> bytes:
        parts = []
        while part := await self.chunk():
            parts.append(part)
        return b"".join(parts)

    def abort(self) -> None:
        self.aborted = True


class ByteUpstream:
    """Gives the scripted replies in order and keeps what was asked."""

    def __init__(self, *replies: ByteReply | UpstreamError) -> None:
        self.replies = list(replies)
        self.requests: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> ByteReply:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, UpstreamError):
            raise reply
        return reply

    async def close(self) -> None:
        return None


class Answer(msgspec.Struct):
    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    parts: list[bytes] = []
    complete: bool = False

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


OPENAI = Backend(name="openai", kind="openai", base_url="http://upstream.test", api_key="sk-upstream-key")
ANTHROPIC = Backend(name="anthropic", kind="anthropic", base_url="http://upstream.test", api_key="sk-ant-key", auth="x-api-key")
KEY = "sk-caller"


def open_app(backend: Backend = OPENAI, *replies: ByteReply | UpstreamError, **settings: Any) -> tuple[App, ByteUpstream]:
    """An app with one backend, open to any credential, whose network answers with `replies`."""
    known: dict[str, Any] = {"backends": (backend,), "demo": False, "open_relay": True, "log_level": "off"}
    app = App(Settings(**(known | settings)))
    app._open()
    network = ByteUpstream(*replies)
    app._upstreams[backend.name] = network
    return app, network


async def ask(
    app: App,
    method: str,
    path: str,
    body: bytes | Any = b"",
    headers: dict[str, str] | None = None,
    *,
    leave_after: float | None = None,
    pieces: int = 1,
    peer: str = "127.0.0.1",
) -> Answer:
    """One request. `leave_after`: seconds until the client disconnects; `pieces`: in how many parts the body arrives."""
    payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent: dict[str, str] = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    sent |= headers or {}
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items() if value is not None],
        "client": (peer, 1234),
    }
    step = max(1, -(-len(payload) // pieces))
    chunks = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if chunks:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}
        await gone.wait()
        return {"type": "http.disconnect"}

    answer = Answer(headers={}, parts=[])

    async def send(event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            assert not answer.status, "two starts"
            answer.status = event["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in event["headers"]}
        else:
            assert answer.status and not answer.complete, "a body out of order"
            answer.parts.append(event["body"])
            answer.complete = not event.get("more_body", False)

    if leave_after is not None:
        asyncio.get_running_loop().call_later(leave_after, gone.set)
    await app(scope, receive, send)
    answer.body = b"".join(answer.parts)
    return answer
