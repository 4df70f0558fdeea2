"""Processes that each hold one version of one official SDK, and the virtual environments that they need.

The newest SDKs are those of the interpreter that runs the tests; each older one gets an environment of its own under
`.cache/e2e/` on first use.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "e2e"
ANSWER_SECONDS = 40.0


@dataclass(frozen=True)
class Sdk:
    """`release` is empty for the one that is installed beside the tests."""

    vendor: str
    release: str = ""

    @property
    def package(self) -> str:
        return PACKAGES.get(self.vendor, self.vendor)

    def __str__(self) -> str:
        return f"{self.vendor}-{self.release or version(self.package)}"


PACKAGES = {"responses": "openai", "gemini": "google-genai", "bedrock": "boto3", "invoke": "boto3"}
"""The package of a vendor, where it has another name. `responses` is the openai SDK by its newer interface."""


# The newest of each, the previous major, and the last that still talked as the wire did before (x-api-key; 1.x).
SDKS = (
    Sdk("anthropic"),
    Sdk("anthropic", "1.17.0"),
    Sdk("anthropic", "0.125.0"),
    Sdk("openai"),
    Sdk("openai", "2.54.0"),
    Sdk("openai", "1.109.1"),
    Sdk("responses"),
    Sdk("responses", "2.54.0"),
    Sdk("gemini"),
    Sdk("gemini", "2.34.0"),
    Sdk("bedrock"),
    Sdk("bedrock", "1.35.70"),
)


def interpreter(sdk: Sdk) -> Path:
    """The python that has this SDK, made on first use. Raises if the package cannot be installed."""
    if not sdk.release:
        return Path(sys.executable)
    home = CACHE / f"{sdk.package}-{sdk.release}"
    python = home / "bin" / "python"
    done = home / ".installed"
    if not done.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", f"{sdk.package}=={sdk.release}"])
        done.touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-800:]}")


class Worker:
    """A process that takes a job a line and gives a verdict a line. One job at a time; `close` ends it."""

    def __init__(self, command: Sequence[str]) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore", "NO_PROXY": "*"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._complaints: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, job: Mapping[str, Any], seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise AssertionError(f"the SDK said nothing within {seconds} s; job {json.dumps(job)[:500]}") from None
        if not line:
            raise AssertionError("the judge died: " + "".join(self._complaints[-20:]))
        verdict: dict[str, Any] = json.loads(line)
        return verdict

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._complaints.append(line)


class Judge(Worker):
    """A running judge of one SDK."""

    def __init__(self, sdk: Sdk) -> None:
        super().__init__([str(interpreter(sdk)), str(HERE / f"judge_{sdk.vendor}.py")])
