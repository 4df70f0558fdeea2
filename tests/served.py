"""The command line in a process of its own: a command to its end, or `serve` with a small app until it is stopped."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SECRET = "sk-upstream-0123456789-secret"
PATIENCE = 30.0

APP = """
import asyncio, json, os
from anyllm_fast.config import current_settings

settings = current_settings()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    if scope["path"] == "/slow":
        for _ in range(4):
            await send({"type": "http.response.body", "body": b".", "more_body": True})
            await asyncio.sleep(0.3)
    if scope["path"] == "/hang":
        await send({"type": "http.response.body", "body": b".", "more_body": True})
        await asyncio.sleep(600)
    backend = settings.backends[0]
    said = {"pid": os.getpid(), "port": settings.port, "key": backend.api_key, "upgrade": scope["type"]}
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
"""
DRIVER = """
import sys
from anyllm_fast.cli import run, serve
serve.TARGET = "hello:app"
if __name__ == "__main__":
    sys.exit(run(["/usr/bin/anyllm-fast", *sys.argv[1:]]))
"""


def command(*words: str, cwd: Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anyllm_fast", *words],
        cwd=cwd,
        env=clean(cwd) | (environ or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def clean(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": f"{ROOT}:{home}"}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Server:
    """The serve command with the tests' app, from its start until the screen is there."""

    def __init__(self, home: Path, *words: str, environ: dict[str, str] | None = None, app: str = APP) -> None:
        (home / "hello.py").write_text(app)
        (home / "driver.py").write_text(DRIVER)
        self.port = free_port()
        self.errors = home / "stderr"
        self.output = home / "stdout"
        with self.errors.open("wb") as errors, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "driver.py", "--port", str(self.port), *words],
                cwd=home,
                env=clean(home) | (environ or {}),
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def wait_ready(self) -> Server:
        deadline = time.monotonic() + PATIENCE
        while "ready in" not in self.errors.read_text():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline, self.errors.read_text()
            time.sleep(0.02)
        return self

    def get(self, path: str = "/", headers: dict[str, str] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers=headers or {})
        body = connection.getresponse().read()
        connection.close()
        return json.loads(body.lstrip(b"."))

    def open(self, path: str) -> http.client.HTTPResponse:
        """A response of which the first byte has been read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.read(1) == b"."
        return response

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
