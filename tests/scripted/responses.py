"""The scripted OpenAI Responses service: writes an Answer as a response or as events. Refuses in `responses_rules`."""

from __future__ import annotations

import json
import os
import re
import time
from contextvars import ContextVar
from typing import Any, ClassVar
from urllib.parse import parse_qs

from .answer import Answer
from .responses_asked import item_to_turn, items_of
from .responses_habits import DOCUMENTS, EVENTS
from .responses_output import copied, events_of, ident, numbered, output_of, reason_of, usage_of
from .responses_rules import refusal_of
from .responses_signing import encrypt
from .responses_state import Kept, State
from .upstream import Frames, Record, Refusal, Upstream, frame, to_json
from .wire import Reply, Request

Body = dict[str, Any]
_KINDS = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_exceeded",
}
MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5.5")
_NAMED = re.compile(r"/v1/responses/(resp_[^/]+)(?:/(cancel|input_items))?")
_VERBS = {("GET", None): "find", ("DELETE", None): "delete", ("POST", "cancel"): "cancel", ("GET", "input_items"): "input_items"}
_OPEN: ContextVar[tuple[Body, int]] = ContextVar("_OPEN")
"""The response that is being streamed, and the sequence number of an event that breaks it off."""
POLLS = 2
"""How often a background response is asked for before it is done."""
TOKENS_PER_BYTE = 4


class ResponsesUpstream(Upstream):
    name = "responses"
    routes: ClassVar = {
        ("POST", "/v1/responses"): "create",
        ("GET", "/v1/responses"): "websocket",
        ("POST", "/v1/responses/input_tokens"): "count",
        ("POST", "/v1/responses/compact"): "compact",
        ("GET", "/v1/models"): "models",
    }

    def __init__(self) -> None:
        super().__init__()
        self.state = State()

    def route_of(self, request: Request) -> str | None:
        if found := _NAMED.fullmatch(request.path):
            return _VERBS.get((request.method, found[2]))
        return super().route_of(request)

    # -- routes -------------------------------------------------------------------------------------------------------

    async def models(self, record: Record, reply: Reply) -> None:
        rows = [{"id": m, "object": "model", "created": 1_780_000_000, "owned_by": "scripted"} for m in MODELS]
        await reply.whole(200, json.dumps({"object": "list", "data": rows}).encode())

    async def websocket(self, record: Record, reply: Reply) -> None:
        """The real service takes the upgrade; one that does not answers so, and clients fall back to POST."""
        await self.refuse(reply, Refusal(426, "Upgrade Required"), [("upgrade", "websocket")])

    async def create(self, record: Record, reply: Reply) -> None:
        _OPEN.set(({}, 0))
        if refusal := self._checked(record, "create"):
            return await self.refuse(reply, refusal)
        if not record.body.get("background"):
            return await self.answer(record, reply)
        answer = self.due(record)
        done = self._finished(record.body, answer)
        waiting = {**done, "status": "queued", "output": [], "usage": None, "completed_at": None, "incomplete_details": None}
        self.state.find(done["id"]).polled = 1  # type: ignore[union-attr]
        await reply.whole(200, to_json(waiting, answer).encode(), self.reply_headers(record))

    async def find(self, record: Record, reply: Reply) -> None:
        kept = await self._kept(record, reply)
        if kept is None:
            return
        shown = kept.response
        if 0 < kept.polled <= POLLS:
            kept.polled += 1
            shown = {**shown, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
        await reply.whole(200, json.dumps(shown).encode())

    async def delete(self, record: Record, reply: Reply) -> None:
        if kept := await self._kept(record, reply):
            self.state.drop(kept.response["id"])
            gone = {"id": kept.response["id"], "object": "response", "deleted": True}
            await reply.whole(200, json.dumps(gone).encode())

    async def cancel(self, record: Record, reply: Reply) -> None:
        if kept := await self._kept(record, reply):
            if not kept.response.get("background"):
                refusal = Refusal(400, "Cannot cancel a synchronous response.")
                return await self.refuse(reply, refusal)
            if kept.polled:
                kept.response |= {"status": "cancelled", "output": [], "usage": None}
                kept.polled = 0
            await reply.whole(200, json.dumps(kept.response).encode())

    async def input_items(self, record: Record, reply: Reply) -> None:
        kept = await self._kept(record, reply)
        if kept is None:
            return
        query = parse_qs(record.request.query)
        rows = kept.input if query.get("order") == ["asc"] else kept.input[::-1]
        after = next((i + 1 for i, r in enumerate(rows) if [r["id"]] == query.get("after")), 0)
        most = int(query.get("limit", ["20"])[0])
        page = rows[after : after + most]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
        page_of = {"object": "list", "data": page, **ends, "has_more": after + most < len(rows)}
        await reply.whole(200, json.dumps(page_of).encode())

    async def count(self, record: Record, reply: Reply) -> None:
        if refusal := self._checked(record, "count"):
            return await self.refuse(reply, refusal)
        tokens = max(1, len(json.dumps(record.body)) // TOKENS_PER_BYTE)
        await reply.whole(200, json.dumps({"object": "response.input_tokens", "input_tokens": tokens}).encode())

    async def compact(self, record: Record, reply: Reply) -> None:
        """What the user said stays, all else goes into one opaque item."""
        if refusal := self._checked(record, "compact"):
            return await self.refuse(reply, refusal)
        body = record.body
        whole = [*self.state.context(body.get("previous_response_id")), *_with_ids(items_of(body))]
        kept = [i for i in whole if (i.get("type") or "message") == "message" and i["role"] == "user"]
        sealed = {"id": ident("cmp"), "type": "compaction", "encrypted_content": encrypt(json.dumps(whole))}
        usage = usage_of(self.due(record))
        row = {"id": ident("resp"), "object": "response.compaction", "created_at": int(time.time())}
        await reply.whole(200, json.dumps({**row, "output": [*kept, sealed], "usage": usage}).encode())

    # -- of all routes ------------------------------------------------------------------------------------------------

    def _checked(self, record: Record, operation: str) -> Refusal | None:
        refusal = self._unauthorised(record) or self.read_json(record) or refusal_of(record.body, self.state, operation)
        if isinstance(record.body, dict):
            try:
                self.due(record)  # also a refused request belongs to its script
            except (KeyError, TypeError, AttributeError, ValueError):
                record.notes.append("refused before its script could be read")
        record.refusal = refusal
        return refusal

    def _unauthorised(self, record: Record) -> Refusal | None:
        if (record.request.header("authorization") or "").startswith("Bearer "):
            return None
        return Refusal(401, "You didn't provide an API key.", "invalid_request_error", code="invalid_api_key")

    async def _kept(self, record: Record, reply: Reply) -> Kept | None:
        found = _NAMED.fullmatch(record.request.path)
        kept = self.state.find(found[1]) if found else None
        if refusal := self._unauthorised(record):
            await self.refuse(reply, refusal)
            return None
        if kept is None and found:
            await self.refuse(reply, Refusal(404, f"Response with id '{found[1]}' not found."))
        return kept

    def reply_headers(self, record: Record) -> list[tuple[str, str]]:
        return [
            ("x-request-id", f"req_{os.urandom(8).hex()}"),
            ("openai-processing-ms", "3"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", "500"),
            ("x-ratelimit-remaining-requests", "499"),
            ("x-ratelimit-remaining-tokens", "29000"),
            ("x-ratelimit-reset-requests", "120ms"),
        ]

    def kind_of(self, status: int) -> str:
        return _KINDS.get(status, "server_error")

    def turns(self, body: Any) -> list[tuple[str, str]]:
        whole = [*self.state.context(body.get("previous_response_id")), *items_of(body)]
        said = ((item_to_turn(item), item) for item in whole)
        return [(turn.role, _text_of(item)) for turn, item in said if turn is not None]

    def error_body(self, refusal: Refusal) -> bytes:
        fields = {"message": refusal.message, "type": refusal.kind, "param": refusal.param, "code": refusal.code}
        return json.dumps({"error": fields}).encode()

    def error_frame(self, refusal: Refusal, answer: Answer) -> bytes:
        response, number = _OPEN.get(({}, 0))
        code = "rate_limit_exceeded" if refusal.status == 429 else "server_error"
        if answer.style.habit == "failed" and response:
            failed = {**response, "status": "failed", "error": {"code": code, "message": refusal.message}}
            event = {"type": "response.failed", "response": failed, "sequence_number": number}
        else:
            event = {"type": "error", "code": code, "message": refusal.message, "param": None, "sequence_number": number}
            if answer.style.habit == "nested_error":
                inner = {"type": refusal.kind, "code": code, "message": refusal.message, "param": None}
                event = {"type": "error", "sequence_number": number, "error": inner}
        return frame(to_json(event, answer), answer, str(event["type"]))

    # -- replies ------------------------------------------------------------------------------------------------------

    def _finished(self, body: Body, answer: Answer) -> Body:
        """The whole response, kept where it is to be kept."""
        response = _response(body, answer)
        response |= {"status": "completed", "completed_at": int(time.time()), "output": output_of(body, answer)}
        response["usage"] = None if answer.style.usage == "never" else usage_of(answer)
        if reason := reason_of(answer):
            response |= {"status": "incomplete", "completed_at": None, "incomplete_details": {"reason": reason}}
        stored = body.get("store") is not False
        self.state.issue(response["output"], stored)
        if stored:
            brought = _with_ids(items_of(body))
            context = [*self.state.context(body.get("previous_response_id")), *brought, *response["output"]]
            self.state.keep(Kept(copied(response), copied(brought), copied(context)))
        return response

    def document(self, record: Record, answer: Answer) -> bytes:
        response = self._finished(record.body, answer)
        if answer.style.habit in DOCUMENTS:
            DOCUMENTS[answer.style.habit](response)
        return to_json(response, answer).encode()

    def frames(self, record: Record, answer: Answer) -> Frames:
        done = self._finished(record.body, answer)
        opened = {**_response(record.body, answer), "id": done["id"], "created_at": done["created_at"]}
        options = record.body.get("stream_options") or {}
        lanes = events_of(done["output"], answer, options.get("include_obfuscation") is not False)
        body = [event for lane in lanes for event in lane]
        last: list[Body] = [{"type": f"response.{done['status']}", "response": done}]
        head: list[Body] = [{"type": f"response.{kind}", "response": opened} for kind in ("created", "in_progress")]
        if answer.style.habit in EVENTS:
            head, body, last = EVENTS[answer.style.habit](head, body, last)
        ends = next((i for i in range(len(body), 0, -1) if body[i - 1]["type"].endswith(".delta")), len(body))
        starts = next((i for i, event in enumerate(body) if event["type"].endswith(".delta")), 0)
        parts = [[*head, *body[:starts]], body[starts:ends], body[ends:], last]
        keep = {"after_first": 1, "mid": 1 + (ends - starts) // 2}.get(answer.fail.at if answer.fail else "", ends - starts)
        _OPEN.set((opened, len(parts[0]) + min(keep, len(parts[1]))))
        rows: list[list[bytes]] = []
        number = 0
        for part in parts:
            rows.append([frame(to_json(e, answer), answer, e["type"]) for e in numbered(part, number)])
            number += len(part)
        return Frames(*rows)


def _response(body: Body, answer: Answer) -> Body:
    """A response that has begun, with every member that the service sends."""
    text = body.get("text") or {}
    reasoning = body.get("reasoning") or {}
    return {
        "id": ident("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": bool(body.get("background")),
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": 1.0 if body.get("temperature") is None else body["temperature"],
        "text": {"format": {"type": "text"}, "verbosity": "medium", **text},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _with_ids(items: list[Body]) -> list[Body]:
    """Input as the service shows it: every item with an id, every message with its type and its content in parts."""
    rows: list[Body] = []
    for item in items:
        row = dict(item)
        kind = row.get("type") or "message"
        if kind == "message":
            said = "output_text" if row["role"] == "assistant" else "input_text"
            content = [{"type": said, "text": row["content"]}] if isinstance(row["content"], str) else row["content"]
            row = {"id": ident("msg"), "type": "message", "status": "completed", **row, "content": content}
        rows.append({"id": ident("item"), **row} if row.get("id") is None else row)
    return rows


def _text_of(item: Body) -> str:
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(p.get("text") or "" for p in content or () if isinstance(p, dict))
