"""What an upstream says and what a client understands, in both dialects: numbered texts, so that nothing can be lost unseen."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.raw_client import events
from tests.raw_upstream import CHUNKED, LAST_CHUNK, chunk, ok

Tongue = Literal["chat", "messages"]
TONGUES: tuple[Tongue, ...] = ("chat", "messages")
PATHS: dict[Tongue, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
TEXTS = ("Hel", "lo, ", "wörld \\ \u2028 \U0001f600", "!")
TEXT = "".join(TEXTS)
INPUT, OUTPUT = 11, 7


def question(tongue: Tongue, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}
    if tongue == "messages":
        body["max_tokens"] = 100
    if stream:
        body["stream"] = True
    return body | more


# --- the upstream's side -----------------------------------------------------------------------------------------------------


def frame(data: dict[str, Any] | str, event: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode()


def chat_chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    body = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    return frame(body | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more)


def message_event(kind: str, **members: Any) -> bytes:
    return frame({"type": kind} | members, kind)


@dataclass
class Spoken:
    """A whole stream in frames: what opens it, its deltas, why it stopped (with usage), what ends it."""

    opening: list[bytes]
    deltas: list[bytes]
    stop: list[bytes]
    end: list[bytes]

    @property
    def frames(self) -> list[bytes]:
        return self.opening + self.deltas + self.stop + self.end

    @property
    def body(self) -> bytes:
        return b"".join(self.frames)


def speak(tongue: Tongue, texts: tuple[str, ...] = TEXTS) -> Spoken:
    if tongue == "chat":
        usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
        return Spoken(
            [chat_chunk({"role": "assistant", "content": ""})],
            [chat_chunk({"content": text}) for text in texts],
            [chat_chunk({}, "stop"), chat_chunk({}, choices=[], usage=usage)],
            [frame("[DONE]")],
        )
    message = {"id": "msg_up", "type": "message", "role": "assistant", "model": "up", "content": [], "stop_reason": None}
    usage = {"input_tokens": INPUT, "output_tokens": 1}
    block = {"type": "text", "text": ""}
    return Spoken(
        [
            message_event("message_start", message=message | {"stop_sequence": None, "usage": usage}),
            message_event("content_block_start", index=0, content_block=block),
        ],
        [message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": text}) for text in texts],
        [
            message_event("content_block_stop", index=0),
            message_event(
                "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": OUTPUT}
            ),
        ],
        [message_event("message_stop")],
    )


def document(tongue: Tongue, text: str = TEXT) -> bytes:
    """A whole reply as one JSON document."""
    if tongue == "chat":
        body: dict[str, Any] = {
            "id": "chatcmpl-up",
            "object": "chat.completion",
            "created": 1,
            "model": "up",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT},
        }
    else:
        body = {
            "id": "msg_up",
            "type": "message",
            "role": "assistant",
            "model": "up",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": INPUT, "output_tokens": OUTPUT},
        }
    return json.dumps(body).encode()


def error_body(tongue: Tongue, message: str, kind: str = "rate_limit_error") -> bytes:
    error = {"type": kind, "message": message}
    if tongue == "chat":
        return json.dumps({"error": error | {"param": None, "code": None}}).encode()
    return json.dumps({"type": "error", "error": error}).encode()


def error_frame(tongue: Tongue, message: str, kind: str = "rate_limit_error") -> bytes:
    return frame(error_body(tongue, message, kind).decode(), "error" if tongue == "messages" else "")


def sent(*frames: bytes) -> bytes:
    """The headers of a stream and these frames in a chunk each; no end."""
    return CHUNKED + b"".join(map(chunk, frames))


def streamed(tongue: Tongue, texts: tuple[str, ...] = TEXTS) -> bytes:
    """A good answer to a streaming request, whole."""
    return sent(*speak(tongue, texts).frames) + LAST_CHUNK


def whole(tongue: Tongue, text: str = TEXT) -> bytes:
    """A good answer to a request that asks for no stream."""
    return ok(document(tongue, text), b"content-type: application/json")


# --- the client's side -------------------------------------------------------------------------------------------------------


@dataclass
class Heard:
    """What a client understood. `ended`: the terminator came; `error`: what its SDK would raise."""

    pieces: list[str] = field(default_factory=list)
    stop: str | None = None
    ended: bool = False
    error: dict[str, Any] | None = None
    usage: tuple[int, int] | None = None
    after_end: int = 0
    kinds: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def hear(tongue: Tongue, stream: bytes | bytearray) -> Heard:
    heard = Heard()
    for event, data in events(stream):
        heard.after_end += heard.ended or heard.error is not None
        if tongue == "chat":
            _hear_chunk(heard, data)
        else:
            _hear_event(heard, event, json.loads(data))
    return heard


def _hear_chunk(heard: Heard, data: str) -> None:
    if data.strip() == "[DONE]":
        heard.ended = True
        return
    body = json.loads(data)
    if body.get("error"):
        heard.error = body["error"]
        return
    if usage := body.get("usage"):
        heard.usage = (usage["prompt_tokens"], usage["completion_tokens"])
    for choice in body["choices"]:
        heard.pieces.append(choice["delta"].get("content") or "")
        heard.stop = choice.get("finish_reason") or heard.stop


def _hear_event(heard: Heard, event: str, body: dict[str, Any]) -> None:
    assert event == body["type"], (event, body)
    heard.kinds.append(event)
    if event == "error":
        heard.error = body["error"]
    elif event == "message_start":
        heard.usage = (body["message"]["usage"]["input_tokens"], body["message"]["usage"]["output_tokens"])
    elif event == "content_block_delta" and body["delta"]["type"] == "text_delta":
        heard.pieces.append(body["delta"]["text"])
    elif event == "message_delta":
        heard.stop = body["delta"]["stop_reason"]
        known = heard.usage or (0, 0)
        heard.usage = (body["usage"].get("input_tokens") or known[0], body["usage"]["output_tokens"])
    elif event == "message_stop":
        heard.ended = True


def read_document(tongue: Tongue, body: bytes | bytearray) -> Heard:
    """The same of a whole reply."""
    reply = json.loads(bytes(body))
    usage = reply["usage"]
    if tongue == "chat":
        (choice,) = reply["choices"]
        counts = (usage["prompt_tokens"], usage["completion_tokens"])
        return Heard([choice["message"]["content"]], choice["finish_reason"], ended=True, usage=counts)
    text = "".join(block["text"] for block in reply["content"])
    return Heard([text], reply["stop_reason"], ended=True, usage=(usage["input_tokens"], usage["output_tokens"]))


STOPPED: dict[Tongue, str] = {"chat": "stop", "messages": "end_turn"}
