"""Claude Code as an operator runs it in print mode: installed from npm on first use, in a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .judges import CACHE

PACKAGE = "@anthropic-ai/claude-code"
HOME = CACHE / "npm"
BINARY = HOME / "node_modules" / ".bin" / "claude"
RUN_SECONDS = 90.0


class Unavailable(Exception):
    """There is no node or npm here, or the package cannot be had."""


def install() -> str:
    """The version that will be run: the newest that the registry has, or the one already here when it is not asked."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise Unavailable("npm and node are needed to run Claude Code")
    have = _version() if BINARY.exists() else ""
    newest = _npm("view", PACKAGE, "version").strip()
    if not newest and not have:
        raise Unavailable(f"npm cannot find {PACKAGE}")
    if newest and newest != have:
        HOME.mkdir(parents=True, exist_ok=True)
        _npm("install", "--prefix", str(HOME), "--no-audit", "--no-fund", f"{PACKAGE}@{newest}")
        have = _version() if BINARY.exists() else ""
    if not have:
        raise Unavailable(f"{PACKAGE} {newest} did not install")
    return have


def _npm(*arguments: str) -> str:
    done = subprocess.run(["npm", *arguments], capture_output=True, text=True, timeout=300, check=False)
    return done.stdout if done.returncode == 0 else ""


def _version() -> str:
    done = subprocess.run([str(BINARY), "--version"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.split(" ")[0].strip() if done.returncode == 0 else ""


@dataclass
class Outcome:
    """What one run left: its exit code and output, and the JSON lines of the output where it is JSON."""

    code: int
    output: str
    errors: str
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def result(self) -> dict[str, Any]:
        found = [line for line in self.lines if line.get("type") == "result"]
        assert found, f"no result\n{self}"
        return found[-1]

    def blocks(self, kind: str) -> list[dict[str, Any]]:
        """Content blocks of `kind` in the assistant messages of a stream-json run."""
        messages = [line["message"] for line in self.lines if line.get("type") == "assistant"]
        return [b for m in messages for b in m["content"] if b["type"] == kind]


class Claude:
    """One user of Claude Code: a home, a project directory and where its requests go."""

    def __init__(self, root: str, key: str, place: Path) -> None:
        self.project = place / "project"
        self.home = place / "home"
        self.project.mkdir(parents=True)
        self.home.mkdir()
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "ANTHROPIC_BASE_URL": root,
            "ANTHROPIC_API_KEY": key,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "IS_SANDBOX": "1",
            "NO_PROXY": "*",
        }

    def run(self, prompt: str, *options: str, form: str = "json", **env: str) -> Outcome:
        """`claude -p` with an answer in `form` (text, json, stream-json)."""
        command = [str(BINARY), "-p", prompt, "--dangerously-skip-permissions", "--output-format", form]
        if form == "stream-json":
            command.append("--verbose")
        done = subprocess.run(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            cwd=self.project,
            env=self._env | env,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        if form != "text":
            rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]
            outcome.lines = [line for row in rows for line in (row if isinstance(row, list) else [row])]
        return outcome
