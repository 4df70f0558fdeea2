"""A gateway process of one backend, started as an operator would, with its output kept for a failing test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

KEY = "e2e-key"
UPSTREAM_KEY = "upstream-key"
START_SECONDS = 20.0
MODELS = {"BIG_MODEL": "gpt-5", "SMALL_MODEL": "gpt-4.1-mini"}  # one that reasons and one that does not


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def backend_env(backend: str, root: str) -> dict[str, str]:
    """The variables of one backend, by the names that the reference has."""
    match backend:
        case "openai":
            return {"BACKEND": "openai", "OPENAI_BASE_URL": f"{root}/v1", "OPENAI_API_KEY": UPSTREAM_KEY, **MODELS}
        case "responses":
            speaks = {"OPENAI_API_FORMAT": "responses"}
            return {"BACKEND": "openai", "OPENAI_BASE_URL": f"{root}/v1", "OPENAI_API_KEY": UPSTREAM_KEY, **MODELS, **speaks}
        case "gemini":
            return {"BACKEND": "gemini", "GEMINI_BASE_URL": root, "GEMINI_API_KEY": UPSTREAM_KEY}
        case "bedrock":
            keys = {"AWS_ACCESS_KEY_ID": "AKIAE2E", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
            return {"BACKEND": "bedrock", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": root, "BEDROCK_API": "converse", **keys}
        case "invoke":
            return {**backend_env("bedrock", root), "BEDROCK_API": "auto"}
        case _:
            return {"BACKEND": "anthropic", "ANTHROPIC_BASE_URL": root, "ANTHROPIC_API_KEY": UPSTREAM_KEY}


class Gateway:
    """`python -m anyllm_fast serve` for one backend. Raises with the process's output if it does not get healthy."""

    def __init__(self, backend: str, upstream: str, impl: str = "", more: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.home = tempfile.TemporaryDirectory(prefix="anyllm-e2e-")
        self.log = Path(self.home.name) / "output.txt"
        env = {"PATH": os.environ["PATH"], "HOME": self.home.name, "PROXY_API_KEYS": KEY, "NO_PROXY": "*"}
        env |= backend_env(backend, upstream) | (more or {})
        if impl:
            env["ANYLLM_FAST_IMPL"] = impl
        self._process = subprocess.Popen(
            [sys.executable, "-m", "anyllm_fast", "serve", "--port", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            cwd=self.home.name,
            env=env,
            start_new_session=True,
        )
        self._await_health()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self.home.cleanup()

    def _await_health(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if not self.alive:
                raise RuntimeError(f"the gateway ended with {self._process.returncode}:\n{self.output()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.root}/health", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        output = self.output()[-3000:]
        self.close()
        raise RuntimeError(f"the gateway was not healthy after {START_SECONDS} s:\n{output}")
