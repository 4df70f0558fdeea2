"""Request bodies of the server bench that are too large for the generator. Made when a bench runs, never stored."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROSE = (
    "the function returns a value that the caller checks before it writes the file and closes the handle so that no other process"
    " sees a half written state while tests read the configuration from disk and compare each line with what was expected"
)
WORDS = PROSE.split()
TOOLS = 30
TURNS = 30  # each turn is a tool call of the assistant and the user's message with its result


def _prose(rng: random.Random, size: int) -> str:
    text = ""
    while len(text) < size:
        text += rng.choice(WORDS) + rng.choice((" ", " ", " ", ", ", ".\n", ' "', '" ', "\t"))
    return text[:size]


def _tool(rng: random.Random, number: int) -> dict[str, Any]:
    kinds = ("string", "integer", "boolean", "number")
    fields: dict[str, Any] = {
        f"field_{i}": {"type": kinds[i % 4], "description": _prose(rng, 90), "default": None if i % 3 else "x"} for i in range(6)
    }
    fields["edits"] = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"old": {"type": "string"}, "new": {"type": "string"}, "all": {"type": "boolean"}},
            "required": ["old", "new"],
            "additionalProperties": False,
        },
    }
    schema = {"type": "object", "properties": fields, "required": ["field_0", "field_1"], "additionalProperties": False}
    return {"name": f"tool_{number:02d}", "description": _prose(rng, 1200), "input_schema": schema}


def _turn(rng: random.Random, number: int) -> list[dict[str, Any]]:
    call = {
        "type": "tool_use",
        "id": f"toolu_{number:024d}",
        "name": f"tool_{number % TOOLS:02d}",
        "input": {
            "field_0": f"/src/module_{number}.py",
            "field_1": number,
            "edits": [{"old": _prose(rng, 300), "new": _prose(rng, 300)}],
        },
    }
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": _prose(rng, 2680)}]}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": _prose(rng, 160)}, call]},
        {"role": "user", "content": [result]},
    ]


def agent_turn(model: str) -> bytes:
    """A Messages request as a coding agent sends it: 30 tools, 61 messages with calls and results, 215 KB.

    The same bytes each time. The last message carries `[bench]`, which the generator replaces by its marker.
    """
    rng = random.Random(215)
    messages: list[dict[str, Any]] = [{"role": "user", "content": _prose(rng, 2000)}]
    for number in range(TURNS):
        messages += _turn(rng, number)
    last = messages[-1]["content"]
    last.append({"type": "text", "text": "[bench] Go on with the next step."})
    body = {
        "model": model,
        "max_tokens": 8192,
        "system": [{"type": "text", "text": _prose(rng, 12000)}],
        "tools": [_tool(rng, number) for number in range(TOOLS)],
        "messages": messages,
    }
    return json.dumps(body, separators=(",", ":")).encode()


BODIES: dict[str, Callable[[str], bytes]] = {"agent-turn": agent_turn}


def write_body(name: str, model: str, directory: Path) -> Path:
    path = directory / f"{name}.json"
    if not path.exists():
        path.write_bytes(BODIES[name](model))
    return path
