"""The scripted OpenAI Chat Completions service: writes an Answer as a document or as chunks. Refuses in `chat_rules`."""

from __future__ import annotations

import json
import os
from typing import Any, ClassVar

from .answer import Answer, Call, Text, Thinking, pieces
from .chat_habits import CHUNKS, DOCUMENTS
from .chat_rules import refusal_of
from .upstream import Frames, Record, Refusal, Upstream, frame, to_json
from .wire import Reply

_FINISH = {"end": "stop", "length": "length", "tools": "tool_calls", "stop_sequence": "stop", "refusal": "stop"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_exceeded",
}
CREATED = 1_780_000_000


class ChatUpstream(Upstream):
    name = "openai"
    routes: ClassVar = {
        ("POST", "/v1/chat/completions"): "completions",
        ("GET", "/v1/models"): "models",
    }

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    async def models(self, record: Record, reply: Reply) -> None:
        rows = [{"id": m, "object": "model", "created": CREATED, "owned_by": "scripted"} for m in ("gpt-4.1", "gpt-5")]
        await reply.whole(200, json.dumps({"object": "list", "data": rows}).encode())

    async def completions(self, record: Record, reply: Reply) -> None:
        refusal = self._unauthorised(record) or self.read_json(record) or refusal_of(record.body, self._shown)
        if refusal:
            if isinstance(record.body, dict):
                self._name(record)
            record.refusal = refusal
            return await self.refuse(reply, refusal)
        self._shown.add(self.due(record).thinking)
        await self.answer(record, reply)

    def _unauthorised(self, record: Record) -> Refusal | None:
        if (record.request.header("authorization") or "").startswith("Bearer "):
            return None
        return Refusal(401, "You didn't provide an API key.", "invalid_request_error", code="invalid_api_key")

    def _name(self, record: Record) -> None:
        """A refused request still belongs to its script, so that the test that sent it finds it."""
        try:
            self.due(record)
        except (KeyError, TypeError, AttributeError, ValueError):
            record.notes.append("refused before its script could be read")

    def reply_headers(self, record: Record) -> list[tuple[str, str]]:
        return [
            ("x-request-id", f"req_{os.urandom(8).hex()}"),
            ("openai-processing-ms", "3"),
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-remaining-tokens", "29000"),
            ("x-ratelimit-reset-requests", "120ms"),
        ]

    def kind_of(self, status: int) -> str:
        return _KINDS.get(status, "server_error")

    def turns(self, body: Any) -> list[tuple[str, str]]:
        return [(m["role"], _text_of(m.get("content"))) for m in body["messages"]]

    def error_body(self, refusal: Refusal) -> bytes:
        fields = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
        return json.dumps({"error": fields}).encode()

    def error_frame(self, refusal: Refusal, answer: Answer) -> bytes:
        fields = {"message": refusal.message, "type": refusal.kind, "param": None, "code": refusal.status}
        return frame(json.dumps({"error": fields}), answer)

    # -- whole --------------------------------------------------------------------------------------------------------

    def document(self, record: Record, answer: Answer) -> bytes:
        body = record.body
        choices = [self._choice(body, answer, 0)]
        for text in answer.others[: max(0, (body.get("n") or 1) - 1)]:
            choices.append(self._choice(body, Answer(parts=(Text(text),)), len(choices)))
        reply: dict[str, Any] = {
            "id": _reply_id(),
            "object": "chat.completion",
            "created": CREATED,
            "model": body["model"],
            "choices": choices,
            "usage": usage_of(answer),
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }
        if answer.style.habit:
            DOCUMENTS[answer.style.habit](reply)
        return to_json(reply, answer).encode()

    def _choice(self, body: dict[str, Any], answer: Answer, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.refusal:
            message["refusal"] = answer.refusal
        if thinking := answer.thinking:
            message[answer.style.reasoning] = thinking
        if answer.calls:
            message["tool_calls"] = [_call(c, i) for i, c in enumerate(answer.calls)]
        if notes := annotations_of(answer):
            message["annotations"] = notes
        logprobs = _logprobs(pieces(answer.text, answer.style.pieces)) if body.get("logprobs") else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": _finish(answer)}

    # -- streamed -----------------------------------------------------------------------------------------------------

    def frames(self, record: Record, answer: Answer) -> Frames:
        chunks = _Chunks(record.body, answer)
        head = chunks.head()
        body = chunks.deltas()
        tail = chunks.finish(body)
        asked = bool((record.body.get("stream_options") or {}).get("include_usage"))
        sends = {"asked": asked, "always": True, "never": False, "with_finish": False}[answer.style.usage]
        if sends:
            tail.append(chunks.chunk([], usage_of(answer)))
        if answer.style.habit:
            first, last = len(head), len(tail)
            rows = CHUNKS[answer.style.habit]([*head, *body, *tail])
            head, body, tail = rows[:first], rows[first:-last], rows[-last:]

        def write(rows: list[dict[str, Any]]) -> list[bytes]:
            return [frame(to_json(row, answer), answer) for row in rows]

        return Frames(write(head), write(body), write(tail), [frame("[DONE]", answer)])


class _Chunks:
    """The chat.completion.chunk objects of one answer."""

    def __init__(self, body: dict[str, Any], answer: Answer) -> None:
        self.answer = answer
        self.style = answer.style
        self.logprobs = bool(body.get("logprobs"))
        self.others = answer.others[: max(0, (body.get("n") or 1) - 1)]
        self.common: dict[str, Any] = {
            "id": _reply_id(),
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": body["model"],
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
        }
        self.usage_null = bool((body.get("stream_options") or {}).get("include_usage"))

    def chunk(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
        row: dict[str, Any] = {**self.common, "choices": choices}
        if usage is not None or self.usage_null:
            row["usage"] = usage
        return row

    def delta(self, delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        if self.logprobs and isinstance(delta.get("content"), str) and delta["content"]:
            choice["logprobs"] = _logprobs([delta["content"]])
        return self.chunk([choice])

    def head(self) -> list[dict[str, Any]]:
        said: dict[str, dict[str, Any]] = {"empty": {"content": ""}, "null": {"content": None}}
        extra = said.get(self.style.role, {})
        first = {"role": "assistant", **extra, **({} if self.style.role == "none" else {"refusal": None})}
        return [self.delta(first, index=i) for i in range(1 + len(self.others))]

    def deltas(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        calls = list(enumerate(self.answer.calls))
        in_order = self.style.habit == "in_order"
        for part in self.answer.parts:
            match part:
                case Thinking(text):
                    rows += [self.delta({self.style.reasoning: p}) for p in pieces(text, self.style.pieces)]
                case Text(text):
                    rows += [self.delta({"content": p}) for p in pieces(text, self.style.pieces)]
                    if notes := annotations_of(self.answer):
                        rows.append(self.delta({"annotations": notes}))
                case Call() if in_order:
                    at, call = calls.pop(0)
                    rows += self._call(call, at)
        rows += [self.delta({"refusal": p}) for p in pieces(self.answer.refusal, self.style.pieces)]
        rows += [] if in_order else self._calls()
        for index, text in enumerate(self.others, 1):
            rows += [self.delta({"content": p}, index=index) for p in pieces(text, self.style.pieces)]
        return rows

    def _calls(self) -> list[dict[str, Any]]:
        lanes = [self._call(call, at) for at, call in enumerate(self.answer.calls)]
        if not self.style.interleave:
            return [row for lane in lanes for row in lane]
        longest = max(map(len, lanes), default=0)
        return [lane[at] for at in range(longest) for lane in lanes if at < len(lane)]

    def _call(self, call: Call, at: int) -> list[dict[str, Any]]:
        place = {"index": at} if self.style.index else {}
        first = _call(call, at)
        arguments = first["function"]["arguments"]
        if self.style.whole_calls:
            return [self.delta({"tool_calls": [{**place, **first}]})]
        opening = {**place, **first, "function": {"name": call.name, "arguments": ""}}
        rest = [{**place, "function": {"arguments": p}} for p in pieces(arguments, self.style.pieces)]
        if self.style.id_late and rest:
            rest[0]["id"] = opening.pop("id")
        return [self.delta({"tool_calls": [row]}) for row in (opening, *rest)]

    def finish(self, body: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The last chunk of each choice. May close the last delta instead, as some servers do."""
        finish = _finish(self.answer)
        rows: list[dict[str, Any]] = []
        if self.style.finish_with_content and body and not self.others:
            body[-1]["choices"][0]["finish_reason"] = finish
        else:
            rows.append(self.delta({}, finish))
        rows += [self.delta({}, "stop", index) for index in range(1, 1 + len(self.others))]
        if self.style.usage == "with_finish" and rows:
            rows[0]["usage"] = usage_of(self.answer)
        return rows


def usage_of(answer: Answer) -> dict[str, Any]:
    usage = answer.usage
    prompt = usage.input + usage.cached + usage.written
    details: dict[str, int] = {"cached_tokens": usage.cached, "audio_tokens": 0}
    if usage.written:
        details["cache_write_tokens"] = usage.written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": 0},
    }


def annotations_of(answer: Answer) -> list[dict[str, Any]]:
    notes: list[dict[str, Any]] = []
    at = 0
    for part in answer.parts:
        if not isinstance(part, Text):
            continue
        for cite in part.cites:
            place = {"start_index": at, "end_index": at + len(part.text), "url": cite.url, "title": cite.title}
            notes.append({"type": "url_citation", "url_citation": place})
        at += len(part.text)
    return notes


def _call(call: Call, at: int) -> dict[str, Any]:
    call_id = call.id or f"call_{call.name[:20]}_{at}"
    return {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.json}}


def _finish(answer: Answer) -> str:
    if answer.calls and answer.style.finish_stop:
        return "stop"
    if answer.ending == "refusal" and not answer.refusal:
        return "content_filter"
    return _FINISH[answer.ending]


def _logprobs(tokens: list[str]) -> dict[str, Any]:
    rows = [{"token": t, "logprob": -0.25, "bytes": list(t.encode()), "top_logprobs": []} for t in tokens]
    return {"content": rows, "refusal": None}


def _reply_id() -> str:
    return f"chatcmpl-{os.urandom(8).hex()}"


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(p.get("text", "") for p in content or () if p.get("type") == "text")
