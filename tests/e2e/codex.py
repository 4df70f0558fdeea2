"""Codex as an operator runs it without a terminal: installed from npm on first use, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .npm import Package

CODEX = Package("@openai/codex", "codex")
CODEX_OF_CHAT = Package("@openai/codex", "codex", "0.80.0")
"""The newest speaks Responses only; this one still has the chat wire."""
RUN_SECONDS = 60.0
_CONFIG = """
model_provider = "{provider}"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
{builtin}
[model_providers.gateway]
name = "gateway"
base_url = "{root}/v1"
wire_api = "{wire}"
env_key = "GATEWAY_KEY"
request_max_retries = 2
stream_max_retries = 2
[analytics]
enabled = false
"""


@dataclass
class Outcome:
    """What one run left: its exit code and output, and the events that it printed."""

    code: int
    output: str
    errors: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Finished items of `kind`: agent_message, command_execution, file_change, reasoning, error."""
        done = [e["item"] for e in self.events if e.get("type") == "item.completed"]
        return [item for item in done if item["type"] == kind]

    @property
    def text(self) -> str:
        """What the assistant said last."""
        said = self.items("agent_message")
        assert said, f"no message\n{self}"
        return str(said[-1]["text"])

    @property
    def usage(self) -> dict[str, int]:
        done = [e["usage"] for e in self.events if e.get("type") == "turn.completed"]
        assert done, f"no turn was completed\n{self}"
        return dict(done[-1])


class Codex:
    """One user of Codex: a home, a project directory and where its requests go. `provider` openai is the one built in."""

    def __init__(self, root: str, key: str, place: Path, package: Package = CODEX, provider: str = "gateway") -> None:
        self.project = place / "project"
        home = place / "codex"
        self.project.mkdir(parents=True)
        home.mkdir()
        self._binary = package.path
        wire = "chat" if package is CODEX_OF_CHAT else "responses"
        builtin = f'openai_base_url = "{root}/v1"' if provider == "openai" else ""
        (home / "config.toml").write_text(_CONFIG.format(provider=provider, builtin=builtin, root=root, wire=wire))
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "CODEX_HOME": str(home),
            "GATEWAY_KEY": key,
            "CODEX_API_KEY": key,
            "NO_PROXY": "*",
        }

    def run(self, prompt: str, model: str, *options: str) -> Outcome:
        """`codex exec --json`."""
        command = [str(self._binary), "exec", "--skip-git-repo-check", "--json", "-m", model, *options, prompt]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            cwd=self.project,
            env=self._env,
            check=False,
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return Outcome(done.returncode, done.stdout, done.stderr, events)
