"""Frameworks above the SDKs, each in a process and an environment of its own under `.cache/e2e`. Knows no feature.

The releases are pinned: a new one is a change of this file, and installs itself on the next run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from .judges import CACHE, HERE, Worker

HOME = CACHE / "frameworks"
NPM_HOME = CACHE / "npm-ai"
INSTALL_SECONDS = 600
START_SECONDS = 150.0  # importing a framework from a cold disk beside other work


class Unavailable(Exception):
    """There is no node here, or the packages cannot be had."""


@dataclass(frozen=True)
class Framework:
    """`clients`: its name for a client -> the dialect that it speaks. `forms`: how it can ask each for a structured answer, by
    the service's own way or by a tool of this name.

    `silent`: clients that have no place for reasoning text. `returns`: those that give it back with its proof, whatever the model
    is called. `blind`: those that see no error in a stream. `raises`: a status -> the class of its exception; `passes`: clients
    that let their SDK's exception through -> that class.
    """

    name: str
    packages: tuple[str, ...]
    clients: dict[str, str]
    tool: str
    by_tool: tuple[str, ...]
    silent: tuple[str, ...]
    returns: tuple[str, ...]
    raises: dict[int, str]
    blind: tuple[str, ...] = ()
    passes: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def open(self) -> Worker:
        """Its judge, ready for a job. Raises Unavailable."""
        command = _node(self) if self.packages[0].startswith("ai@") else _python(self)
        worker = Worker(command)
        worker.ask({"mode": "ready"}, START_SECONDS)
        return worker


PYDANTIC_AI = Framework(
    name="pydantic_ai",
    packages=("pydantic-ai-slim[openai,anthropic,google,bedrock]==2.68.0", "openai==3.54.0", "anthropic==2.12.0"),
    clients={"openai": "openai", "responses": "responses", "anthropic": "anthropic", "gemini": "gemini", "bedrock": "bedrock"},
    tool="final_result",
    by_tool=("openai", "responses", "anthropic", "gemini", "bedrock"),
    silent=(),
    returns=("anthropic", "gemini"),
    raises={400: "ModelHTTPError", 429: "ModelHTTPError"},
)
LANGCHAIN = Framework(
    name="langchain",
    packages=(
        "langchain==1.4.7",
        "langchain-core==1.7.2",
        "langchain-anthropic==1.7.7",
        "langchain-openai==1.7.3",
        "langchain-google-genai==4.4.2",
        "langchain-aws==1.9.1",
    ),
    clients={"openai": "openai", "responses": "responses", "anthropic": "anthropic", "gemini": "gemini", "bedrock": "bedrock"},
    tool="Answer",
    by_tool=("openai", "responses", "anthropic", "gemini", "bedrock"),
    silent=("openai",),
    returns=("responses", "anthropic", "gemini"),
    raises={400: "ModelInvalidRequestError", 429: "ModelRateLimitError"},
    passes={"bedrock": "ClientError"},
)
AI_SDK = Framework(
    name="ai_sdk",
    packages=(
        "ai@6.0.326",
        "@ai-sdk/openai@3.0.141",
        "@ai-sdk/openai-compatible@2.0.87",
        "@ai-sdk/anthropic@3.0.138",
        "@ai-sdk/google@3.0.141",
        "@ai-sdk/amazon-bedrock@4.0.186",
        "zod@4.6.7",
    ),
    clients={
        "openai": "openai",
        "compatible": "openai",
        "responses": "responses",
        "anthropic": "anthropic",
        "gemini": "gemini",
        "bedrock": "bedrock",
    },
    tool="json",
    by_tool=("anthropic", "bedrock"),
    silent=("openai",),
    returns=("responses", "anthropic", "gemini", "bedrock"),
    blind=("gemini",),
    raises={400: "AI_APICallError", 429: "AI_APICallError"},
)
FRAMEWORKS = (PYDANTIC_AI, LANGCHAIN, AI_SDK)


def _python(framework: Framework) -> list[str]:
    home = HOME / framework.name
    python = home / "bin" / "python"
    done = home / f".installed-{_mark(framework)}"
    if not done.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", *framework.packages])
        done.touch()
    return [str(python), str(HERE / f"framework_{framework.name}.py")]


def _node(framework: Framework) -> list[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Unavailable(f"npm and node are needed to run {framework.name}")
    done = NPM_HOME / f".installed-{_mark(framework)}"
    if not done.exists():
        NPM_HOME.mkdir(parents=True, exist_ok=True)
        _run([npm, "install", "--prefix", str(NPM_HOME), "--no-audit", "--no-fund", "--save-exact", *framework.packages])
        done.touch()
    return [node, str(HERE / f"{framework.name}.mjs"), str(NPM_HOME)]


def _mark(framework: Framework) -> str:
    return sha256(" ".join(framework.packages).encode()).hexdigest()[:12]


def _run(command: list[str]) -> None:
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, env=env)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{Path(command[0]).name} took longer than {INSTALL_SECONDS} s to install") from None
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:6])}: {done.stderr.strip()[-600:]}")
