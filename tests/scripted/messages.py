"""The scripted Anthropic Messages service: writes an Answer as a document or as events. Refuses in `messages_rules`."""

from __future__ import annotations

import json
import os
from typing import Any, ClassVar

from .answer import Answer, Call, Cite, Own, Redacted, Text, Thinking, pieces
from .messages_habits import DOCUMENTS, EVENTS
from .messages_rules import THINKS, blocks_of, refusal_of
from .signing import seal, sign
from .upstream import Frames, Record, Refusal, Upstream, frame, to_json
from .wire import Reply

_STOPS = {
    "end": "end_turn",
    "length": "max_tokens",
    "tools": "tool_use",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
    "pause_turn": "pause_turn",
    "model_context_window_exceeded": "model_context_window_exceeded",
}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SPENT = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "output_tokens_details",
)
"""Counts of a message_delta: of the whole message, as those of its start are."""
TOKENS_PER_BYTE = 4


class MessagesUpstream(Upstream):
    name = "anthropic"
    routes: ClassVar = {
        ("POST", "/v1/messages"): "messages",
        ("POST", "/v1/messages/count_tokens"): "count",
        ("GET", "/v1/models"): "models",
    }

    async def models(self, record: Record, reply: Reply) -> None:
        rows = [
            {"type": "model", "id": m, "display_name": m, "created_at": "2026-01-01T00:00:00Z"}
            for m in ("claude-opus-5-5", "claude-sonnet-4-5")
        ]
        page = {"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]}
        await reply.whole(200, json.dumps(page).encode())

    async def count(self, record: Record, reply: Reply) -> None:
        if refusal := self._checked(record, counting=True):
            return await self.refuse(reply, refusal)
        tokens = max(1, len(json.dumps(record.body)) // TOKENS_PER_BYTE)
        await reply.whole(200, json.dumps({"input_tokens": tokens}).encode())

    async def messages(self, record: Record, reply: Reply) -> None:
        if refusal := self._checked(record, counting=False):
            return await self.refuse(reply, refusal)
        await self.answer(record, reply)

    def _checked(self, record: Record, counting: bool) -> Refusal | None:
        refusal = self._unauthorised(record) or self.read_json(record)
        refusal = refusal or refusal_of(record.request, record.body, counting)
        if isinstance(record.body, dict):
            try:
                self.due(record)  # also a refused request belongs to its script
            except (KeyError, TypeError, AttributeError, ValueError):
                record.notes.append("refused before its script could be read")
        record.refusal = refusal
        return refusal

    def _unauthorised(self, record: Record) -> Refusal | None:
        bearer = (record.request.header("authorization") or "").startswith("Bearer ")
        if record.request.header("x-api-key") or bearer:
            return None
        return Refusal(401, "x-api-key header is required", "authentication_error")

    def reply_headers(self, record: Record) -> list[tuple[str, str]]:
        return [
            ("request-id", f"req_{os.urandom(8).hex()}"),
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "999"),
            ("anthropic-ratelimit-tokens-remaining", "79000"),
            ("anthropic-organization-id", "scripted-org"),
        ]

    def kind_of(self, status: int) -> str:
        return _KINDS.get(status, "api_error")

    def turns(self, body: Any) -> list[tuple[str, str]]:
        return [
            (m["role"], "\n".join(b.get("text", "") for b in blocks_of(m["content"]) if b.get("type") == "text"))
            for m in body["messages"]
        ]

    def error_body(self, refusal: Refusal) -> bytes:
        error = {"type": refusal.kind, "message": refusal.message}
        return json.dumps({"type": "error", "error": error, "request_id": "req_scripted"}).encode()

    def error_frame(self, refusal: Refusal, answer: Answer) -> bytes:
        return frame(self.error_body(refusal).decode(), answer, "error")

    # -- whole --------------------------------------------------------------------------------------------------------

    def document(self, record: Record, answer: Answer) -> bytes:
        reply = _message(record.body, [_block(p, i) for i, p in enumerate(_visible(record.body, answer))])
        reply |= {"stop_reason": _stop(answer), "stop_sequence": answer.stop_sequence or None}
        reply |= {"stop_details": _stop_details(answer), "usage": usage_of(answer)}
        if answer.style.habit:
            DOCUMENTS[answer.style.habit](reply)
        return to_json(reply, answer).encode()

    # -- streamed -----------------------------------------------------------------------------------------------------

    def frames(self, record: Record, answer: Answer) -> Frames:
        usage = usage_of(answer)
        late = answer.style.late_input
        start = {**usage, "output_tokens": 1, **({"input_tokens": 0} if late else {})}
        start.pop("output_tokens_details", None)
        message = {**_message(record.body, []), "stop_reason": None, "stop_sequence": None, "usage": start}
        head: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
        if answer.style.pings:
            head.append({"type": "ping"})
        body: list[dict[str, Any]] = []
        for index, part in enumerate(_visible(record.body, answer)):
            body += _events(part, index, answer.style.pieces)
            if answer.style.pings:
                body.append({"type": "ping"})
        spent: dict[str, Any] = {k: usage[k] for k in _SPENT if k in usage}  # LangChain reads them here alone
        delta: dict[str, Any] = {"stop_reason": _stop(answer), "stop_sequence": answer.stop_sequence or None}
        if details := _stop_details(answer):
            delta["stop_details"] = details
        tail = [{"type": "message_delta", "delta": delta, "usage": spent}]

        def write(rows: list[dict[str, Any]]) -> list[bytes]:
            return [frame(to_json(row, answer), answer, row["type"]) for row in rows]

        if answer.style.habit:
            head, body, tail = EVENTS[answer.style.habit](head, body, tail)
        if body:  # the first delta travels with the start of its block
            head.append(body.pop(0))
        return Frames(write(head), write(body), write(tail), write([{"type": "message_stop"}]))


def usage_of(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    row: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "service_tier": "standard",
    }
    if usage.reasoning:
        row["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return row


def _message(body: dict[str, Any], content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{os.urandom(8).hex()}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
    }


def _visible(body: dict[str, Any], answer: Answer) -> list[Any]:
    """The parts as this request gets them: no thinking that was not asked for, no words of it when told to omit them."""
    thinking = body.get("thinking") or {}
    shown: list[Any] = []
    for part in answer.parts:
        if isinstance(part, Thinking | Redacted) and thinking.get("type") not in THINKS:
            continue
        if isinstance(part, Thinking) and thinking.get("display") == "omitted":
            part = Thinking("")
        shown.append(part)
    if answer.refusal:
        shown.append(Text(answer.refusal))
    return shown


def _block(part: Any, at: int) -> dict[str, Any]:
    match part:
        case Thinking(text):
            return {"type": "thinking", "thinking": text, "signature": sign(text)}
        case Own(block):
            return dict(block)
        case Redacted(data):
            return {"type": "redacted_thinking", "data": seal(data)}
        case Call():
            return {"type": "tool_use", "id": part.id or call_id(part, at), "name": part.name, "input": part.args}
        case Text(text, cites):
            return {"type": "text", "text": text, **({"citations": [_cite(c) for c in cites]} if cites else {})}
    raise TypeError(f"the Messages dialect cannot answer with {part!r}")


def call_id(call: Call, at: int) -> str:
    return f"toolu_{call.name[:20]}_{at}"


def _cite(cite: Cite) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": cite.url,
        "title": cite.title,
        "cited_text": cite.quote,
        "encrypted_index": "c2NyaXB0ZWQ=",
    }


def _events(part: Any, index: int, count: int) -> list[dict[str, Any]]:
    block = _block(part, index)
    deltas: list[dict[str, Any]]
    match part:
        case Thinking(text):
            deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(text, count)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            block = {**block, "thinking": "", "signature": ""}
        case Text(text):
            deltas = [{"type": "text_delta", "text": p} for p in pieces(text, count)]
            deltas += [{"type": "citations_delta", "citation": c} for c in block.pop("citations", ())]
            block = {**block, "text": ""}
        case Call():
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in ["", *pieces(part.json, count)]]
            block = {**block, "input": {}}
        case Own() if "input" in block:
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces(json.dumps(block["input"]), count)]
            block = {**block, "input": {}}
        case _:
            deltas = []
    start = {"type": "content_block_start", "index": index, "content_block": block}
    rows = [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
    return [start, *rows, {"type": "content_block_stop", "index": index}]


def _stop(answer: Answer) -> str:
    return _STOPS[answer.ending]


def _stop_details(answer: Answer) -> dict[str, Any] | None:
    if answer.ending != "refusal":
        return None
    return {"type": "refusal", "category": "cyber", "explanation": "scripted refusal"}
