"""The scripted Bedrock runtime: writes an Answer as Converse's reply or events, and Claude's own by InvokeModel.

Refuses in `bedrock_rules` and `bedrock_invoke`, after the signature, which every request needs (`aws_signature`).
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import unquote

from . import bedrock_invoke
from .answer import Answer, Call, Cite, Redacted, Text, Thinking, pieces
from .aws_frames import event, exception
from .aws_shapes import fault_of, input_shape
from .aws_signature import refusal_of_signature
from .bedrock_asked import shows_thinking
from .bedrock_habits import DAMAGES, EVENTS, Event
from .bedrock_rules import bad, refusal_of
from .signing import seal, sign
from .upstream import Frames, Record, Refusal, Upstream, to_json
from .wire import Reply, Request

STOPS = {
    "end": "end_turn",
    "length": "max_tokens",
    "tools": "tool_use",
    "stop_sequence": "stop_sequence",
    "refusal": "content_filtered",
    "model_context_window_exceeded": "model_context_window_exceeded",
}
KINDS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "RequestEntityTooLargeException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
STREAM_KINDS = {"ModelErrorException": "modelStreamErrorException"}
"""What an exception is called in a stream, where that is not its name beginning small."""
CALLS = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "count-tokens": "CountTokens",
}
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
_CALL = re.compile(rf"/model/([^/]+)/({'|'.join(CALLS)})")
_CORAL = "http://internal.amazon.com/coral/com.amazon.bedrock/"
_TOKENS_PER_BYTE = 4


class BedrockUpstream(Upstream):
    name = "bedrock"
    stream_kind = "application/vnd.amazon.eventstream"
    routes: ClassVar = {("GET", "/foundation-models"): "models"}

    def route_of(self, request: Request) -> str | None:
        found = _CALL.fullmatch(request.path)
        if request.method != "POST" or found is None:
            return super().route_of(request)
        return "count" if found[2] == "count-tokens" else "call"

    def streams(self, record: Record) -> bool:
        return _operation(record).endswith("Stream")

    async def models(self, record: Record, reply: Reply) -> None:
        if refusal := refusal_of_signature(record.request):
            return await self.refuse(reply, refusal)
        names = ("anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0")
        rows = [{"modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{m}", "modelId": m} for m in names]
        await reply.whole(200, json.dumps({"modelSummaries": rows}).encode())

    async def call(self, record: Record, reply: Reply) -> None:
        if refusal := self._checked(record):
            return await self.refuse(reply, refusal)
        await self.answer(record, reply)

    async def count(self, record: Record, reply: Reply) -> None:
        refusal = self._unsound(record) or _count_refused(record)
        if refusal:
            return await self.refuse(reply, refusal)
        tokens = max(1, len(json.dumps(record.body)) // _TOKENS_PER_BYTE)
        await reply.whole(200, json.dumps({"inputTokens": tokens}).encode())

    def _unsound(self, record: Record) -> Refusal | None:
        refusal = refusal_of_signature(record.request) or self.read_json(record)
        implied = "application/json" if _operation(record).startswith("InvokeModel") else ""  # a parameter with this default
        if refusal is None and not (record.request.header("content-type") or implied).startswith("application/json"):
            refusal = bad("The Content-Type header must be application/json")
        return refusal

    def _checked(self, record: Record) -> Refusal | None:
        refusal = self._unsound(record) or _refused(record)
        if isinstance(record.body, dict):
            try:
                self.due(record)  # also a refused request belongs to its script
            except (KeyError, TypeError, AttributeError, ValueError):
                record.notes.append("refused before its script could be read")
        record.refusal = refusal
        return refusal

    def turns(self, body: Any) -> list[tuple[str, str]]:
        """Of both bodies: what has text has it under the same name."""
        return [
            (m["role"], m["content"] if isinstance(m["content"], str) else "\n".join(b.get("text", "") for b in m["content"]))
            for m in body["messages"]
        ]

    def reply_headers(self, record: Record) -> list[tuple[str, str]]:
        return [
            ("x-amzn-requestid", f"{os.urandom(4).hex()}-0000-4000-8000-{os.urandom(6).hex()}"),
            ("x-amzn-bedrock-content-type", "application/json"),
            ("x-amzn-bedrock-invocation-latency", "1200"),
        ]

    # -- errors -------------------------------------------------------------------------------------------------------

    def kind_of(self, status: int) -> str:
        return KINDS.get(status, "InternalServerException" if status >= 500 else "ValidationException")

    def error_body(self, refusal: Refusal) -> bytes:
        return json.dumps({"message": refusal.message}).encode()

    def error_frame(self, refusal: Refusal, answer: Answer) -> bytes:
        name = STREAM_KINDS.get(refusal.kind, refusal.kind[:1].lower() + refusal.kind[1:])
        return exception(name, self.error_body(refusal))

    async def refuse(self, reply: Reply, refusal: Refusal, headers: Iterable[tuple[str, str]] = ()) -> None:
        """AWS says in a header what the error is, with the address of a namespace behind it."""
        kind = ("x-amzn-errortype", f"{refusal.kind}:{_CORAL}")
        status = 503 if refusal.status == 529 else refusal.status  # which AWS does not have
        await super().refuse(reply, replace(refusal, status=status), (kind, *headers))

    # -- answers ------------------------------------------------------------------------------------------------------

    def document(self, record: Record, answer: Answer) -> bytes:
        if _operation(record).startswith("InvokeModel"):
            return bedrock_invoke.document(record, answer, _model(record))
        content = [_block(p, i) for i, p in enumerate(visible(record.body, answer))]
        reply: dict[str, Any] = {
            "metrics": {"latencyMs": 1200},
            "output": {"message": {"content": content, "role": "assistant"}},
            **_ending(record.body, answer),
            "usage": usage_of(answer),
        }
        if answer.style.finish_stop:
            reply["stopReason"] = "end_turn"
        return to_json(reply, answer).encode()

    def frames(self, record: Record, answer: Answer) -> Frames:
        if _operation(record).startswith("InvokeModel"):
            made = bedrock_invoke.frames(record, answer, _model(record))
        else:
            made = _frames(record.body, answer)
        if damage := DAMAGES.get(answer.style.habit):
            return Frames(made.head, damage([*made.body, *made.tail, *made.last]), (), ())
        return made


def _operation(record: Record) -> str:
    found = _CALL.fullmatch(record.request.path)
    return CALLS[found[2]] if found else ""


def _model(record: Record) -> str:
    found = _CALL.fullmatch(record.request.path)
    return unquote(found[1]) if found else ""


def _refused(record: Record) -> Refusal | None:
    operation = _operation(record)
    if operation.startswith("InvokeModel"):
        return bedrock_invoke.refusal_of(_model(record), record.body)
    return refusal_of(_model(record), record.body, operation)


def _count_refused(record: Record) -> Refusal | None:
    if fault := fault_of(record.body, input_shape("CountTokens")):
        return bad(f"1 validation error detected: {fault}")
    given = record.body["input"]
    if "converse" in given:
        return refusal_of(_model(record), given["converse"], "Converse")
    return bedrock_invoke.refusal_of(_model(record), json.loads(base64.b64decode(given["invokeModel"]["body"])))


# -- Converse ----------------------------------------------------------------------------------------------------------


def visible(body: dict[str, Any], answer: Answer) -> list[Any]:
    """The parts as this request gets them: no thinking that was not asked for."""
    shown = [p for p in answer.parts if shows_thinking(body) or not isinstance(p, Thinking | Redacted)]
    return [*shown, Text(answer.refusal)] if answer.refusal else shown


def usage_of(answer: Answer) -> dict[str, int]:
    usage = answer.usage
    return {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.cached + usage.written + usage.output,
        "cacheReadInputTokens": usage.cached,
        "cacheWriteInputTokens": usage.written,
    }


def _ending(body: dict[str, Any], answer: Answer) -> dict[str, Any]:
    ending: dict[str, Any] = {"stopReason": STOPS[answer.ending]}
    if "/stop_sequence" in body.get("additionalModelResponseFieldPaths", ()):
        ending["additionalModelResponseFields"] = {"stop_sequence": answer.stop_sequence or None}
    return ending


def _block(part: Any, at: int) -> dict[str, Any]:
    match part:
        case Thinking(text):
            return {"reasoningContent": {"reasoningText": {"text": text, "signature": sign(text)}}}
        case Redacted(data):
            return {"reasoningContent": {"redactedContent": seal(data)}}
        case Call():
            return {"toolUse": {"toolUseId": call_id(part, at), "name": part.name, "input": part.args}}
        case Text(text, cites) if cites:
            return {"citationsContent": {"content": [{"text": text}], "citations": [_cite(c, "sourceContent") for c in cites]}}
        case Text(text):
            return {"text": text}
    raise TypeError(f"Converse cannot answer with {part!r}")


def call_id(call: Call, at: int) -> str:
    return call.id or f"tooluse_{call.name[:20]}_{at}"


def _cite(cite: Cite, quotes: str) -> dict[str, Any]:
    return {"title": cite.title, quotes: [{"text": cite.quote}], "location": {"web": {"url": cite.url}}}


def _frames(body: dict[str, Any], answer: Answer) -> Frames:
    blocks = [e for i, part in enumerate(visible(body, answer)) for e in _events(part, i, answer.style.pieces)]
    stop: Event = ("messageStop", _ending(body, answer))
    spent: Event = ("metadata", {"usage": usage_of(answer), "metrics": {"latencyMs": 1200}})
    events: list[Event] = [("messageStart", {"role": "assistant"}), *blocks, stop, spent]
    if change := EVENTS.get(answer.style.habit):
        events = change(events)
    first = next((i for i, (name, said) in enumerate(events) if name == "contentBlockDelta"), len(events) - 2)
    if answer.style.finish_stop:
        events[-2] = ("messageStop", {**events[-2][1], "stopReason": "end_turn"})
    messages = [
        event(name, to_json({**said, "p": PADDING[: 1 + 7 * at % 50]}, answer).encode()) for at, (name, said) in enumerate(events)
    ]
    first = min(first + 1, len(messages) - 2)  # the first delta travels with what is before it
    return Frames(messages[:first], messages[first:-2], messages[-2:-1], messages[-1:])


def _events(part: Any, index: int, count: int) -> list[Event]:
    block = _block(part, index)
    opened: list[Event] = []
    deltas: list[dict[str, Any]]
    match part:
        case Thinking(text):
            deltas = [{"reasoningContent": {"text": p}} for p in pieces(text, count)]
            deltas.append({"reasoningContent": {"signature": block["reasoningContent"]["reasoningText"]["signature"]}})
        case Redacted():
            deltas = [block]
        case Call():
            start = {k: block["toolUse"][k] for k in ("toolUseId", "name")}
            opened = [("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": start}})]
            deltas = [{"toolUse": {"input": p}} for p in ["", *pieces(part.json, count)]]
        case Text(text, cites):
            deltas = [{"text": p} for p in pieces(text, count)]
            deltas += [{"citation": _cite(c, "sourceContent")} for c in cites]
        case _:
            raise TypeError(f"Converse cannot answer with {part!r}")
    rows: list[Event] = [("contentBlockDelta", {"contentBlockIndex": index, "delta": d}) for d in deltas]
    return [*opened, *rows, ("contentBlockStop", {"contentBlockIndex": index})]
