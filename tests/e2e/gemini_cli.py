"""gemini-cli as an operator runs it without a terminal: installed from npm on first use, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .npm import Package

GEMINI_CLI = Package("@google/gemini-cli", "gemini")
RUN_SECONDS = 120.0
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False},
}


@dataclass
class Outcome:
    """What one run left. `lines` are the events of its stream-json output."""

    code: int
    output: str
    errors: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.split("\n") if line.startswith("{")]

    @property
    def said(self) -> str:
        """All that the model said, as the user saw it grow."""
        return "".join(line["content"] for line in self.of("message") if line["role"] == "assistant")

    @property
    def result(self) -> dict[str, Any]:
        results = self.of("result")
        assert results, f"no result\n{self}"
        return results[-1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("type") == kind]


class GeminiCli:
    """One user of gemini-cli: a home, a project directory and where its requests go."""

    def __init__(self, root: str, key: str, place: Path) -> None:
        self.project = place / "project"
        self.home = place / "home"
        self.project.mkdir(parents=True)
        (self.home / ".gemini").mkdir(parents=True)
        (self.home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GOOGLE_GEMINI_BASE_URL": root,
            "GEMINI_API_KEY": key,
            "NO_PROXY": "*",
        }

    def run(self, prompt: str, model: str, *options: str) -> Outcome:
        """`gemini -p`: every tool is allowed, the output is stream-json."""
        command = [str(GEMINI_CLI.path), "-p", prompt, "-m", model, "--approval-mode", "yolo", "-o", "stream-json"]
        done = subprocess.run(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            cwd=self.project,
            env=self._env,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)
