"""Claude Code as an operator runs it in print mode: installed from npm on first use, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .npm import Package

CLAUDE_CODE = Package("@anthropic-ai/claude-code", "claude")
RUN_SECONDS = 90.0


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
        command = [str(CLAUDE_CODE.path), "-p", prompt, "--dangerously-skip-permissions", "--output-format", form]
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
