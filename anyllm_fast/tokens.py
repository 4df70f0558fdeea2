"""Token counts of request bodies: the door to the counting process (token_counter.py). Counts nothing itself.

One process for each worker, started at the first count and gone after ten idle minutes; counts wait for one another, bounded in
number and in time. A process that hangs or dies is replaced, and the count that it was at is tried once more.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from anyllm_fast.errors import Internal, InvalidRequest, RateLimited

MAX_WAITING: Final = 256
TIMEOUT: Final = 20.0
"""Seconds that one count may take, the start of the process included."""

_SHAPES: Final = {"anthropic": b"a", "openai_chat": b"c"}


class _Answer(msgspec.Struct):
    count: int = -1
    message: str = ""
    where: str = ""


_decode = msgspec.json.Decoder(_Answer).decode


async def count(body: bytes, shape: str = "anthropic") -> int:
    """Tokens of the prompt in a body, approximately. Raises InvalidRequest (no messages), RateLimited, Internal."""
    return await _COUNTER.count(body, shape)


class Counter:
    """The counting process and the one thread that talks to it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="count-tokens")
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting = 0

    async def count(self, body: bytes, shape: str) -> int:
        if self._waiting >= MAX_WAITING:
            raise RateLimited("too many token counts are waiting", headers=[(b"retry-after", b"1")])
        self._waiting += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, _SHAPES[shape], body)
        finally:
            self._waiting -= 1
        if answer is None:
            raise Internal("the token count took too long or its process died")
        if answer.message:
            raise InvalidRequest(answer.message, where=answer.where)
        return answer.count

    def close(self) -> None:
        """Ends the process. The next count starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):  # what was written and not taken is of no use to anyone
                        stream.close()

    def _ask(self, shape: bytes, body: bytes) -> _Answer | None:
        """Runs in the thread. A process that had gone idle looks like one that died, hence the second try."""
        for _ in range(2):
            process = self._process = self._process or _start()
            assert process.stdin is not None and process.stdout is not None  # noqa: S101 - for the type checker
            timer = threading.Timer(TIMEOUT, process.kill)
            timer.start()
            try:
                process.stdin.write(shape + len(body).to_bytes(4, "big"))
                process.stdin.write(body)
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = b""
            finally:
                timer.cancel()
            if line.endswith(b"\n"):
                return _decode(line)
            self.close()
        return None


def _start() -> subprocess.Popen[bytes]:
    """Our own interpreter and import path, and nothing else of the environment: it holds credentials."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH", "RUST_BACKTRACE") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "anyllm_fast.token_counter"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**kept, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
    )


_COUNTER: Final = Counter()
atexit.register(_COUNTER.close)
