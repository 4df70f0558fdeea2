"""One scripted upstream: finds the script of a request, records the request, and breaks off where the script says.

The dialect (what is refused, how a meaning is written) is the subclass; HTTP is `wire.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

from .answer import Answer, Fail, answer_of_json, find_directive, says
from .wire import Reply, Request

HOLD_SECONDS = 10.0  # an unreleased hold ends here, and the record says so


@dataclass(frozen=True)
class Refusal:
    """What the real service answers to a request that it does not take."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


@dataclass
class Record:
    """One request as it arrived and what became of it."""

    request: Request
    body: Any = None
    script: str = ""
    step: int = 0
    refusal: Refusal | None = None
    complete: bool = False  # the answer was written to its end
    left: bool = False  # the caller closed before that
    held_out: bool = False  # a hold was never released
    notes: list[str] = field(default_factory=list)


def _replies(roles: Iterable[str]) -> int:
    """How often the assistant spoke: its consecutive messages are one reply, whatever system text is between."""
    spoken = [role for role in roles if role != "system"]
    return sum(role == "assistant" and before != "assistant" for before, role in pairwise(["user", *spoken]))


@dataclass(frozen=True)
class Frames:
    """A stream in its dialect: `head` opens it, `body` are the deltas, `tail` closes them, `last` is the terminator."""

    head: Sequence[bytes]
    body: Sequence[bytes]
    tail: Sequence[bytes]
    last: Sequence[bytes]


class Upstream:
    """The base of both dialects. Scripts are lists of Answers; which one is due is counted in the conversation."""

    name: ClassVar[str]
    routes: ClassVar[dict[tuple[str, str], str]]  # (method, path) -> method name
    stream_kind: ClassVar[str] = "text/event-stream"  # content-type of a stream

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._failed: dict[tuple[str, int], int] = {}
        self._holds: dict[str, asyncio.Event] = {}
        self._lock = threading.Lock()

    # -- for tests ----------------------------------------------------------------------------------------------------

    def script(self, name: str, answers: Iterable[Answer]) -> str:
        """Registers `answers` and gives the directive to put into a prompt."""
        with self._lock:
            self._scripts[name] = list(answers)
        return f"[[script @{name}]]"

    def calls(self, name: str) -> list[Record]:
        with self._lock:
            return [r for r in self.records if r.script == name]

    # -- for the server -----------------------------------------------------------------------------------------------

    async def handle(self, request: Request, reply: Reply) -> None:
        if request.path.startswith("/release/"):
            self._hold(request.path.rpartition("/")[2]).set()
            return await reply.whole(200, b"{}")
        record = Record(request)
        with self._lock:
            self.records.append(record)
        route = self.route_of(request)
        if route is None:
            return await self.refuse(reply, Refusal(404, f"no route {request.method} {request.path}", "not_found_error"))
        try:
            await getattr(self, route)(record, reply)
        except ConnectionError:
            record.left = True
            raise
        finally:
            record.left = record.left or (reply.gone.is_set() and not reply.finished)
            record.complete = reply.finished

    def read_json(self, record: Record) -> Refusal | None:
        try:
            record.body = json.loads(record.request.body)
        except (ValueError, UnicodeDecodeError) as error:
            return Refusal(400, f"We could not parse the JSON body of your request. ({error})")
        return None if isinstance(record.body, dict) else Refusal(400, "the body is not an object")

    def due(self, record: Record) -> Answer:
        """The answer that this point of the conversation is at: one step for each assistant turn after the directive."""
        turns = self.turns(record.body)
        for at in range(len(turns) - 1, -1, -1):
            role, text = turns[at]
            if role == "user" and (directive := find_directive(text)):
                record.step = _replies(role for role, _ in turns[at + 1 :])
                return self._step(record, directive)
        return says("no script")

    def _step(self, record: Record, directive: str) -> Answer:
        if not directive.startswith("@"):
            record.script = directive
            return answer_of_json(directive)
        record.script = directive[1:]
        with self._lock:
            answers = self._scripts.get(record.script)
        if not answers:
            return says(f"unknown script {record.script}")
        return answers[min(record.step, len(answers) - 1)]

    def failure_of(self, record: Record, answer: Answer) -> Fail | None:
        fail = answer.fail
        if fail is None or fail.times == 0:
            return fail
        key = (record.script, record.step)
        with self._lock:
            self._failed[key] = self._failed.get(key, 0) + 1
            return fail if self._failed[key] <= fail.times else None

    # -- a dialect says -----------------------------------------------------------------------------------------------

    def route_of(self, request: Request) -> str | None:
        """The name of the method that answers. A dialect that has the model in its paths finds it by another way."""
        return self.routes.get((request.method, request.path))

    def streams(self, record: Record) -> bool:
        """Whether this request asked for a stream."""
        return bool(record.body.get("stream"))

    def turns(self, body: Any) -> list[tuple[str, str]]:
        """(role, all text) of each message; consecutive assistant messages are one turn."""
        raise NotImplementedError

    def error_body(self, refusal: Refusal) -> bytes:
        raise NotImplementedError

    def error_frame(self, refusal: Refusal, answer: Answer) -> bytes:
        raise NotImplementedError

    def frames(self, record: Record, answer: Answer) -> Frames:
        raise NotImplementedError

    def document(self, record: Record, answer: Answer) -> bytes:
        raise NotImplementedError

    # -- one answer ---------------------------------------------------------------------------------------------------

    async def refuse(self, reply: Reply, refusal: Refusal, headers: Iterable[tuple[str, str]] = ()) -> None:
        await reply.whole(refusal.status, self.error_body(refusal), headers)

    async def answer(self, record: Record, reply: Reply) -> None:
        answer = self.due(record)
        fail = self.failure_of(record, answer)
        if fail and fail.at == "before":
            return await self._fail_before(reply, fail, record)
        headers = [*self.reply_headers(record), *answer.headers]
        if not self.streams(record) or answer.style.document:
            return await self._document(record, reply, answer, headers, fail)
        await self._stream(record, reply, answer, headers, fail)

    def reply_headers(self, record: Record) -> list[tuple[str, str]]:
        return []

    async def _document(
        self, record: Record, reply: Reply, answer: Answer, headers: list[tuple[str, str]], fail: Fail | None
    ) -> None:
        body = self.document(record, answer)
        if answer.style.encoding:
            body = _encoded(body, answer.style.encoding)
            headers = [*headers, ("content-encoding", answer.style.encoding)]
        if fail is None:
            return await reply.whole(200, body, headers)
        await reply.begin(200, headers, "application/json")
        await reply.write(body[: len(body) // 2])
        await self._break(reply, fail, answer)

    async def _stream(
        self, record: Record, reply: Reply, answer: Answer, headers: list[tuple[str, str]], fail: Fail | None
    ) -> None:
        style = answer.style
        frames = self.frames(record, answer)
        first = frames.body[:1]
        queue = [*frames.head, *first]
        rest = [*frames.body[1:], *frames.tail, *(frames.last if style.done else ())]
        if fail:
            keep = {"after_first": 0, "mid": len(frames.body) // 2, "late": max(0, len(frames.body) - 1)}[fail.at]
            rest = list(frames.body[1 : 1 + keep])
        if not style.last_blank and rest:
            rest[-1] = rest[-1].rstrip(b"\r\n")
        if style.encoding:
            body = _encoded(b"".join([*queue, *rest]), style.encoding)
            await reply.begin(200, [*headers, ("content-encoding", style.encoding)], self.stream_kind)
            await reply.write(body)
            return await reply.end()
        await reply.begin(200, headers, self.stream_kind)
        await self._write(reply, queue, answer, bom=style.bom)
        if style.hold:
            record.held_out = not await _within(self._hold(style.hold).wait(), HOLD_SECONDS)
        await self._write(reply, rest, answer)
        if fail:
            return await self._break(reply, fail, answer)
        await reply.end()

    async def _write(self, reply: Reply, frames: list[bytes], answer: Answer, bom: bool = False) -> None:
        async for data in _cut(frames, answer.style.tcp, b"\xef\xbb\xbf" if bom else b""):
            await reply.write(data)
            if answer.style.pace and await _within(reply.gone.wait(), answer.style.pace):
                raise ConnectionResetError

    async def _fail_before(self, reply: Reply, fail: Fail, record: Record) -> None:
        refusal = Refusal(fail.status, fail.message, fail.kind or self.kind_of(fail.status))
        match fail.how:
            case "status" if fail.body:
                kind = "application/json" if fail.body.startswith(("{", "[", '"')) else "text/plain"
                await reply.whole(fail.status, fail.body.encode(), fail.headers, kind)
            case "status":
                await self.refuse(reply, refusal, fail.headers)
            case "html":
                page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
                await reply.whole(fail.status, page, fail.headers, "text/html")
            case "json200":
                await reply.whole(200, self.error_body(refusal), fail.headers)
            case "empty":
                await reply.whole(200, b"", fail.headers, self.stream_kind if self.streams(record) else "application/json")
            case "event":
                await reply.begin(200, fail.headers, self.stream_kind)
                await reply.write(self.error_frame(refusal, Answer()))
                await reply.end()
            case "hang":
                await _within(reply.gone.wait(), HOLD_SECONDS * 6)
            case "cut" | "eof":
                reply.cut()
            case "reset":
                reply.reset()

    async def _break(self, reply: Reply, fail: Fail, answer: Answer) -> None:
        await asyncio.sleep(0.03)  # what was sent is delivered first: an RST would overtake it
        match fail.how:
            case "event":
                refusal = Refusal(fail.status, fail.message, fail.kind or self.kind_of(fail.status))
                await reply.write(frame(fail.body, answer) if fail.body else self.error_frame(refusal, answer))
                await reply.end()
            case "eof":
                await reply.end()
            case "reset":
                reply.reset()
            case "hang":
                await _within(reply.gone.wait(), HOLD_SECONDS * 6)
            case _:
                reply.cut()

    def kind_of(self, status: int) -> str:
        raise NotImplementedError

    def _hold(self, name: str) -> asyncio.Event:
        return self._holds.setdefault(name, asyncio.Event())


def to_json(value: Any, answer: Answer) -> str:
    """JSON in the style of `answer`: characters as they are, or everything escaped that may be."""
    text = json.dumps(value, ensure_ascii=answer.style.ascii)
    return text.replace("/", "\\/") if answer.style.ascii else text


def frame(data: str, answer: Answer, event: str = "") -> bytes:
    """One SSE frame in the style of `answer`."""
    style = answer.style
    lines = [": keep-alive"] if style.comments else []
    gap = " " if style.space else ""
    if event:
        lines.append(f"event:{gap}{event}")
    lines.append(f"data:{gap}{data}")
    return (style.newline.join(lines) + style.newline * 2).encode()


async def _cut(frames: list[bytes], size: int, before: bytes) -> AsyncIterator[bytes]:
    if size == 0:
        for at, one in enumerate(frames):
            yield before + one if at == 0 else one
        return
    data = before + b"".join(frames)
    step = len(data) if size < 0 else size
    for at in range(0, len(data), max(1, step)):
        yield data[at : at + step]
        await asyncio.sleep(0)


def _encoded(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body)
    if encoding == "br":
        import brotli  # a dependency of the gateway, not of this module: only the cell that asks for it needs it

        return bytes(brotli.compress(body))
    import zstandard

    return zstandard.ZstdCompressor().compress(body)


async def _within(awaitable: Any, seconds: float) -> bool:
    try:
        await asyncio.wait_for(awaitable, seconds)
    except TimeoutError:
        return False
    return True
