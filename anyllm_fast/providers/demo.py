"""The built-in demo provider: a deterministic stand-in for a model, inside the process, so that a first use needs no account.

It speaks Anthropic Messages, so every other dialect reaches it by translation, as it would reach a real backend. It says in every
answer that it is no model.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from anyllm_fast.call import Surface, Target
from anyllm_fast.config import Backend
from anyllm_fast.errors import UpstreamError
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.upstream import HeaderList, Origin, UpstreamReply, UpstreamRequest

_PACE = 0.015
"""Seconds between two words."""
_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_encode = msgspec.json.Encoder().encode
_MODELS = ("demo", "claude-sonnet-4-5", "gpt-4o")


def target(backend: Backend) -> Target:
    surface = Surface(
        dialect="anthropic",
        path=lambda model, stream: b"/v1/messages",
        profile=lambda model: Profile(default_max_tokens=1024),
    )
    return Target(
        name=backend.name,
        origin=Origin("http", "demo.invalid", 80),
        models_dialect="anthropic",
        credentials=(),
        model_of=lambda requested: requested,
        surfaces=lambda model: (surface,),
        in_process=True,
    )


class DemoUpstream:
    """An Upstream without a network."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        if request.method == b"GET":
            rows = [
                {"type": "model", "id": name, "display_name": f"{name} (demo)", "created_at": "2025-01-01T00:00:00Z"}
                for name in _MODELS
            ]
            return _Whole(200, _encode({"data": rows, "has_more": False, "first_id": _MODELS[0], "last_id": _MODELS[-1]}))
        try:
            asked = msgspec.json.decode(request.body)
            message = _compose(asked)
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, StopIteration) as error:
            body = {"type": "error", "error": {"type": "invalid_request_error", "message": f"demo provider: {error!r}"}}
            return _Whole(400, _encode(body))
        return _Streamed(message) if asked.get("stream") else _Whole(200, _encode(message))

    async def close(self) -> None:
        return None


class _Whole:
    status: int
    headers: HeaderList
    http_version: str

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers = [(b"content-type", b"application/json")]
        self.http_version = "1.1"
        self._body = body
        self._pump: asyncio.Task[None] | None = None
        self._going = asyncio.Event()
        self._going.set()

    async def read(self, limit: int) -> bytes:
        return self._body

    async def chunk(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def attach(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        self._pump = asyncio.get_running_loop().create_task(self._push(on_data, on_end))

    def pause(self) -> None:
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def abort(self) -> None:
        if self._pump is not None:
            self._pump.cancel()

    async def _push(self, on_data: Callable[[bytes], None], on_end: Callable[[UpstreamError | None], None]) -> None:
        while part := await self.chunk():
            await self._going.wait()
            on_data(part)
        on_end(None)


class _Streamed(_Whole):
    """The message's events, a word at a time."""

    def __init__(self, message: dict[str, Any]) -> None:
        super().__init__(200, b"")
        self.headers = [(b"content-type", b"text/event-stream")]
        self._events = _events(message)

    async def chunk(self) -> bytes:
        event = next(self._events, None)
        if event is None:
            return b""
        if event["type"] == "content_block_delta":
            await asyncio.sleep(_PACE)
        kind: str = event["type"]
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(event))

    async def read(self, limit: int) -> bytes:
        parts = []
        while part := await self.chunk():
            parts.append(part)
        return b"".join(parts)


def _compose(asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to a Messages body. The same body gives the same answer."""
    last = next(turn for turn in reversed(asked["messages"]) if turn["role"] == "user")
    blocks = last["content"] if isinstance(last["content"], list) else [{"type": "text", "text": last["content"]}]
    results = [block for block in blocks if block.get("type") == "tool_result"]
    texts = [text for block in blocks if block.get("type") == "text" and (text := _REMINDER.sub("", block["text"]).strip())]
    said = texts[-1] if texts else ""
    content: list[dict[str, Any]] = []
    if (asked.get("thinking") or {}).get("type") in {"enabled", "adaptive"} and "think" in said.lower():
        thought = "The caller asked for thought, so here is some, made up by the demo provider."
        content.append({"type": "thinking", "thinking": thought, "signature": _sign(thought)})
    tool = None if results else _wanted_tool(asked, said)
    if results:
        text = "(demo provider) The tool answered: " + _text_of(results[-1].get("content"))[:500]
    elif tool is not None:
        text = f"(demo provider) Calling {tool['name']}."
    else:
        text = (
            f"This is the demo provider of anyllm_fast; no model is configured, so this answer is made up. You said: {said[:500]}"
        )
    content.append({"type": "text", "text": text})
    stop = "end_turn"
    if tool is not None:
        digest = hashlib.sha256(_encode([said, tool["name"]])).hexdigest()
        content.append(
            {"type": "tool_use", "id": f"toolu_{digest[:24]}", "name": tool["name"], "input": _example(tool.get("input_schema"))}
        )
        stop = "tool_use"
    words = sum(len(str(block.get("text", block.get("thinking", "")))) for block in content) // 4 + 1
    digest = hashlib.sha256(_encode(asked)).hexdigest()
    return {
        "id": f"msg_{digest[:24]}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": len(_encode(asked)) // 4, "output_tokens": words},
    }


def _wanted_tool(asked: dict[str, Any], said: str) -> dict[str, Any] | None:
    """The tool that the request asks for: forced by tool_choice, or named by a user who begins with `call` or `use`."""
    tools: list[dict[str, Any]] = [tool for tool in asked.get("tools") or [] if "input_schema" in tool]
    choice = asked.get("tool_choice") or {}
    if choice.get("type") == "none":
        return None
    if choice.get("type") == "tool":
        return next((tool for tool in tools if tool["name"] == choice.get("name")), None)
    for tool in tools:
        if re.match(rf"(please\s+)?(call|use)\s+(the\s+)?(tool\s+)?[`'\"]?{re.escape(tool['name'])}\b", said, re.IGNORECASE):
            return tool
    return tools[0] if tools and choice.get("type") == "any" else None


def _example(schema: Any) -> Any:
    """A value that fits a JSON schema, as simple as possible."""
    if not isinstance(schema, dict):
        return {}
    if schema.get("enum"):
        return schema["enum"][0]
    match schema.get("type"):
        case "string":
            return "demo"
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [_example(schema.get("items"))] if schema.get("items") else []
        case _:
            known = schema.get("properties") or {}
            wanted = schema.get("required") or list(known)[:1]
            return {name: "echo demo" if name == "command" else _example(known.get(name)) for name in wanted}


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", f"[{block.get('type')}]") for block in content or [])


def _sign(thought: str) -> str:
    return hmac.new(b"anyllm_fast demo", thought.encode(), hashlib.sha256).hexdigest()


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The stream that stands for `message`, as Anthropic's streaming documentation orders it."""
    usage = message["usage"]
    yield {
        "type": "message_start",
        "message": message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}},
    }
    for index, block in enumerate(message["content"]):
        match block["type"]:
            case "text":
                empty, deltas = (
                    {"type": "text", "text": ""},
                    [{"type": "text_delta", "text": word} for word in _words(block["text"])],
                )
            case "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": word} for word in _words(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case _:
                empty = block | {"input": {}}
                deltas = [
                    {"type": "input_json_delta", "partial_json": piece} for piece in _words(_encode(block["input"]).decode())
                ]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": usage}
    yield {"type": "message_stop"}


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)
