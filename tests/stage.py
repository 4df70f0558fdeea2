"""The gateway as processes of its own, between a scripted upstream and raw clients. Started once each, on first use.

A case is filed under a request id. The gateway passes that id on, so the upstream knows which script a request is for,
however many run at once.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.raw_client import KEY, PATIENCE, Answer, RawClient, ask, connect, request
from tests.raw_upstream import RawUpstream, Script, SeenConnection, SeenRequest, ok
from tests.served import clean, free_port
from tests.speech import PATHS, Tongue, question

IMPLS = ("python", "native")
UPSTREAM_KEY = "sk-upstream-0123456789"
BODY_LIMIT = 1 << 20
REPLY_LIMIT = 1 << 20
FRAME_LIMIT = 1 << 16
NARROW = 8
"""Calls that the narrow gateway carries at once; it also waits for a second at most, and three seconds for a whole stream."""
_LIMITS = {
    "ANYLLM_MAX_BODY_BYTES": str(BODY_LIMIT),
    "ANYLLM_MAX_REPLY_BYTES": str(REPLY_LIMIT),
    "ANYLLM_MAX_FRAME_BYTES": str(FRAME_LIMIT),
}
_WAITS = {
    "ANYLLM_FIRST_BYTE_TIMEOUT_SECS": "1",
    "ANYLLM_IDLE_TIMEOUT_SECS": "1",
    "REQUEST_TIMEOUT_SECS": "3",
    "ANYLLM_MAX_CONCURRENCY": str(NARROW),
}
KINDS: dict[str, dict[str, str]] = {"openai": {}, "anthropic": {}, "narrow": _WAITS}


async def until(true: Callable[[], Any], what: str = "") -> Any:
    """The first true value; an assertion after a generous time."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, what or "it did not happen"
        await asyncio.sleep(0.005)
    return found


@dataclass
class Case:
    """The scripts of one request id in the order of its requests; the last one answers all that come after."""

    ident: str
    scripts: list[Script]
    requests: list[SeenRequest] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def comes(self) -> None:
        await asyncio.wait_for(self.arrived.wait(), PATIENCE)

    @property
    def headers(self) -> dict[str, str | None]:
        return {"x-request-id": self.ident}


class FiledUpstream(RawUpstream):
    def __init__(self) -> None:
        super().__init__([])
        self.cases: dict[bytes, Case] = {}
        self._numbers = itertools.count()

    def file(self, *scripts: Script) -> Case:
        case = Case(f"case-{next(self._numbers)}", list(scripts))
        self.cases[case.ident.encode()] = case
        return case

    def script(self) -> Script:
        seen = self.requests[-1]
        case = self.cases.get(seen.header(b"x-request-id") or b"")
        if case is None:
            return [ok(b"{}")]
        case.requests.append(seen)
        case.arrived.set()
        return case.scripts.pop(0) if len(case.scripts) > 1 else case.scripts[0]

    async def flood(self, start: int) -> AsyncIterator[int]:
        """Bytes that a flood has sent since `flooded` was `start`, every tenth of a second, until it stands still for half a one:
        every buffer on the way is full then."""
        deadline = time.monotonic() + PATIENCE
        before, still = -1, 0
        while still < 5:
            assert time.monotonic() < deadline, f"the flood does not stand still, {self.flooded - start} bytes"
            still = still + 1 if before == self.flooded > start else 0
            before = self.flooded
            yield before - start
            await asyncio.sleep(0.1)

    def connection(self, case: Case) -> SeenConnection:
        """The one that the case's last request came on."""
        return self.connections[case.requests[-1].connection]


class Gateway:
    """`python -m anyllm_fast serve` with one worker, its log kept."""

    def __init__(self, kind: str, impl: str, upstream: int, output: int | None = None) -> None:
        """`output`: the file descriptor that is its stdout, where it is not to be kept."""
        self.port = free_port()
        self.impl = impl
        self._home = tempfile.TemporaryDirectory(prefix="anyllm-faults-")
        self._output = Path(self._home.name) / "stdout"
        self._errors = Path(self._home.name) / "stderr"
        root = f"http://127.0.0.1:{upstream}"
        backend = "anthropic" if kind == "anthropic" else "openai"
        env = clean(Path(self._home.name)) | _LIMITS | KINDS[kind] | {"BACKEND": backend, "PROXY_API_KEYS": KEY}
        env |= {"ANYLLM_FAST_IMPL": impl, "LISTEN_HOST": "127.0.0.1"}
        prefix = backend.upper()
        env |= {f"{prefix}_BASE_URL": root + ("/v1" if backend == "openai" else ""), f"{prefix}_API_KEY": UPSTREAM_KEY}
        with self._output.open("wb") as kept, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "anyllm_fast", "serve", "--port", str(self.port)],
                cwd=self._home.name,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=kept if output is None else output,
                stderr=errors,
                start_new_session=True,
            )

    async def ready(self) -> Gateway:
        def answers() -> bool:
            assert self.process.poll() is None, self.errors
            return "ready in" in self.errors

        await until(answers, "the gateway did not start")
        return self

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)
        self._home.cleanup()

    # What it says

    @property
    def errors(self) -> str:
        return self._errors.read_text(errors="replace")

    def lines(self, case: Case) -> list[dict[str, Any]]:
        found = (json.loads(line) for line in self._output.read_bytes().splitlines() if case.ident.encode() in line)
        return [line for line in found if line["request_id"] == case.ident]

    async def line(self, case: Case) -> dict[str, Any]:
        """The one log line of a call that is over."""
        (line,) = await until(lambda: self.lines(case), "no log line")
        return dict(line)

    async def health(self) -> dict[str, Any]:
        return dict((await self.ask("GET", "/health")).json())

    async def counters(self) -> dict[str, Any]:
        """The counters of its one backend."""
        (counters,) = (await self.ask("GET", "/metrics")).json()["backends"].values()
        return dict(counters)

    # What it is

    @property
    def worker(self) -> int:
        """The process id of the worker that runs now."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.worker}/fd").iterdir()))

    @property
    def memory(self) -> int:
        """Proportional set size of supervisor and worker in bytes."""
        total = 0
        for pid in (self.process.pid, self.worker):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    # What it is asked

    async def connect(self, receive_buffer: int = 0) -> RawClient:
        return await connect(self.port, receive_buffer)

    async def ask(self, method: str, path: str, body: bytes | Any = b"", headers: dict[str, str | None] | None = None) -> Answer:
        return await ask(self.port, method, path, body, headers)

    async def call(self, tongue: Tongue, case: Case, *, stream: bool = False, **more: Any) -> Answer:
        """One question of a client, and its whole answer."""
        return await self.ask("POST", PATHS[tongue], question(tongue, stream=stream, **more), case.headers)

    async def start(self, tongue: Tongue, case: Case, *, stream: bool = True, receive_buffer: int = 0, **more: Any) -> RawClient:
        """One question of a client that has not read anything yet."""
        client = await self.connect(receive_buffer)
        await client.send(request("POST", PATHS[tongue], question(tongue, stream=stream, **more), case.headers))
        return client


class Stage:
    def __init__(self, upstream: FiledUpstream) -> None:
        self.upstream = upstream
        self.file = upstream.file
        self._gateways: dict[tuple[str, str], Gateway] = {}

    async def gateway(self, kind: str, impl: str) -> Gateway:
        if impl == "native" and importlib.util.find_spec("anyllm_fast._native") is None:
            pytest.skip("anyllm_fast._native is not built")
        if (kind, impl) not in self._gateways:
            self._gateways[kind, impl] = await Gateway(kind, impl, self.upstream.port).ready()
        return self._gateways[kind, impl]

    def close(self) -> None:
        for gateway in self._gateways.values():
            gateway.stop()

    def tail(self) -> str:
        return "\n".join(f"-- {kind}, {impl}\n{gateway.errors[-1500:]}" for (kind, impl), gateway in self._gateways.items())


async def each(checks: dict[str, Coroutine[Any, Any, None]]) -> None:
    """Runs all at once; one failure that names those that failed."""
    async with asyncio.timeout(3 * PATIENCE):
        results = await asyncio.gather(*checks.values(), return_exceptions=True)
    failed = [
        f"{name}: {str(result) or repr(result)}"
        for name, result in zip(checks, results, strict=True)
        if isinstance(result, BaseException)
    ]
    assert not failed, "\n".join(["", *failed])
