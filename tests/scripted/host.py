"""The scripted upstreams on one thread of their own, so that a blocked test never blocks them."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from .bedrock import BedrockUpstream
from .chat import ChatUpstream
from .gemini import GeminiUpstream
from .messages import MessagesUpstream
from .responses import ResponsesUpstream
from .upstream import Upstream
from .wire import Server


class Scripted:
    """`with Scripted() as scripted:` serves until the block ends. Ports are free ones unless given."""

    def __init__(self, ports: tuple[int, ...] = ()) -> None:
        self.openai = ChatUpstream()
        self.anthropic = MessagesUpstream()
        self.upstreams: dict[str, Upstream] = {
            "openai": self.openai,
            "anthropic": self.anthropic,
            "responses": ResponsesUpstream(),
            "gemini": GeminiUpstream(),
            "bedrock": BedrockUpstream(),
            "invoke": BedrockUpstream(),
        }
        self._wanted = ports + (0,) * (len(self.upstreams) - len(ports))
        self._ports: dict[str, int] = {}
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scripted upstreams", daemon=True)

    def __enter__(self) -> Scripted:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the scripted upstreams did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def __getitem__(self, name: str) -> Upstream:
        return self.upstreams[name]

    def root(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        servers = [Server(upstream.handle) for upstream in self.upstreams.values()]
        opened = zip(self.upstreams, servers, self._wanted, strict=True)
        for name, server, port in opened:
            self._ports[name] = self._loop.run_until_complete(server.open(port))
        self._ready.set()
        self._loop.run_forever()
        for server in servers:
            self._loop.run_until_complete(server.close())
        self._loop.run_until_complete(asyncio.sleep(0.05))  # broken connections end their own tasks
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()
