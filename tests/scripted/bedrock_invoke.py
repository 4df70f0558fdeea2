"""InvokeModel with Anthropic's bodies: what it refuses, and Claude's events as chunks of its stream. Speaks no Converse."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from . import messages_rules
from .answer import Answer
from .aws_frames import event
from .bedrock_rules import MODEL, bad, is_claude
from .messages import MessagesUpstream
from .upstream import Frames, Record, Refusal
from .wire import Request

VERSION = "bedrock-2023-05-31"
IN_THE_PATH = ("model", "stream")
METRICS = {"inputTokenCount": 11, "outputTokenCount": 7, "invocationLatency": 1200, "firstByteLatency": 300}
_CLAUDE = MessagesUpstream()


def refusal_of(model: str, body: dict[str, Any]) -> Refusal | None:
    """The first reason to refuse a request, or None."""
    if MODEL.match(model) is None or not is_claude(model):
        return bad("The provided model identifier is invalid.")
    for name in IN_THE_PATH:
        if name in body:
            return bad(f"{name}: Extra inputs are not permitted")
    if "anthropic_version" not in body:
        return bad("anthropic_version: Field required")
    if body["anthropic_version"] != VERSION:
        return bad("Invalid API version")
    rest = {k: v for k, v in body.items() if k not in ("anthropic_version", "anthropic_beta")}
    betas = body.get("anthropic_beta", [])
    if not isinstance(betas, list) or not all(isinstance(b, str) for b in betas):
        return bad("anthropic_beta: Input should be a valid list")
    headers = [("anthropic-version", "2023-06-01"), *([("anthropic-beta", ",".join(betas))] if betas else [])]
    refusal = messages_rules.refusal_of(Request("POST", "", headers, b""), {**rest, "model": model})
    return replace(refusal, kind="ValidationException") if refusal else None


def document(record: Record, answer: Answer, model: str) -> bytes:
    return _CLAUDE.document(_as_claude(record, model), answer)


def frames(record: Record, answer: Answer, model: str) -> Frames:
    """Each event of Claude's in a chunk; the last has the service's own counts."""
    plain = answer.styled(newline="\n", space=True, comments=False, bom=False)
    said = _CLAUDE.frames(_as_claude(record, model), plain)
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}
    head, body, tail = ([_chunk(_data(f)) for f in part] for part in (said.head, said.body, said.tail))
    return Frames(head, body, tail, [_chunk(json.dumps(stop).encode())])


def _as_claude(record: Record, model: str) -> Record:
    return replace(record, body={**record.body, "model": model.partition("anthropic.")[2]})


def _data(sse: bytes) -> bytes:
    return next(line.removeprefix(b"data: ") for line in sse.split(b"\n") if line.startswith(b"data: "))


def _chunk(inner: bytes) -> bytes:
    return event("chunk", json.dumps({"bytes": base64.b64encode(inner).decode(), "p": "abcdefghijklmnop"}).encode())
