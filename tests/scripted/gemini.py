"""The scripted Gemini API (Developer API, v1beta): writes an Answer as a reply or as chunks. Refuses in `gemini_rules`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, ClassVar

from .answer import Answer, Call, Cite, Text, Thinking, pieces
from .gemini_habits import CHUNKS
from .gemini_rules import is_new, refusal_of
from .gemini_signing import sign_call, sign_text
from .gemini_types import spelled
from .upstream import Frames, Record, Refusal, Upstream, frame
from .upstream import to_json as plain_json
from .wire import Reply, Request

Body = dict[str, Any]
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
MODELS = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.8-flash")
METHODS = {"generateContent": "generate", "streamGenerateContent": "generate", "countTokens": "count"}
_CALL = re.compile(r"/v1(?:beta|alpha)?/((?:models|tunedModels)/[^/:]+):(\w+)")
_TOKENS_PER_BYTE = 4
_ARRAY: ContextVar[bool] = ContextVar("_ARRAY", default=False)
"""Whether the request that is being answered wanted a stream as a JSON array: then errors come in one too."""


class GeminiUpstream(Upstream):
    name = "gemini"
    routes: ClassVar = {("GET", f"/{version}/models"): "models" for version in ("v1", "v1beta", "v1alpha")}

    def route_of(self, request: Request) -> str | None:
        _ARRAY.set(False)
        if request.method == "POST" and (found := _CALL.fullmatch(request.path)):
            return METHODS.get(found[2])
        return super().route_of(request)

    def streams(self, record: Record) -> bool:
        return record.request.path.endswith(":streamGenerateContent")

    async def models(self, record: Record, reply: Reply) -> None:
        rows = [_model(name) for name in MODELS]
        await reply.whole(200, json.dumps({"models": rows}).encode())

    async def count(self, record: Record, reply: Reply) -> None:
        if refusal := self._checked(record, counting=True):
            return await self.refuse(reply, refusal)
        tokens = max(1, len(json.dumps(record.body)) // _TOKENS_PER_BYTE)
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        await reply.whole(200, json.dumps({"totalTokens": tokens, "promptTokensDetails": details}).encode())

    async def generate(self, record: Record, reply: Reply) -> None:
        _ARRAY.set(self.streams(record) and "alt=sse" not in record.request.query)
        if refusal := self._checked(record, counting=False):
            return await self.refuse(reply, refusal)
        await self.answer(record, reply)

    def _checked(self, record: Record, counting: bool) -> Refusal | None:
        refusal = self._unauthorised(record) or self.read_json(record)
        refusal = refusal or refusal_of(record.body, model_of(record), counting)
        if isinstance(record.body, dict):
            try:
                self.due(record)  # also a refused request belongs to its script
            except (KeyError, TypeError, AttributeError, ValueError):
                record.notes.append("refused before its script could be read")
        record.refusal = refusal
        return refusal

    def _unauthorised(self, record: Record) -> Refusal | None:
        bearer = (record.request.header("authorization") or "").startswith("Bearer ")
        if record.request.header("x-goog-api-key") or bearer or "key=" in record.request.query:
            return None
        return Refusal(403, "Method doesn't allow unregistered callers (callers without established identity).")

    def kind_of(self, status: int) -> str:
        return STATUSES.get(status, "INTERNAL")

    def turns(self, body: Any) -> list[tuple[str, str]]:
        asked = spelled(body)
        contents = asked.get("contents") or asked["generateContentRequest"]["contents"]
        return [
            ("assistant" if c.get("role") == "model" else "user", "\n".join(p.get("text") or "" for p in c["parts"]))
            for c in contents
        ]

    # -- errors --------------------------------------------------------------------------------------------------------

    async def refuse(self, reply: Reply, refusal: Refusal, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Google says when to try again in the error's details, besides any header of a proxy before it. A body that is too
        large never gets to the service: what stands before it answers with a page."""
        given = list(headers)
        if refusal.status == 413:
            page = f"<html><title>Error 413: {refusal.message}</title></html>"
            return await reply.whole(413, page.encode(), given, "text/html; charset=UTF-8")
        wait = next((value for name, value in given if name == "retry-after"), "")
        await reply.whole(refusal.status, json.dumps(self._error(refusal, wait), indent=2).encode(), given)

    def error_body(self, refusal: Refusal) -> bytes:
        return json.dumps(self._error(refusal), indent=2).encode()

    def error_frame(self, refusal: Refusal, answer: Answer) -> bytes:
        """The bare object between events that Google's servers send when a stream fails; as an event with that habit."""
        if answer.style.habit == "error_event":
            return frame(json.dumps(self._error(refusal)), answer)
        body = self.error_body(refusal)
        return b"," + body + b"]" if _ARRAY.get() else body

    def _error(self, refusal: Refusal, wait: str = "") -> Any:
        status = refusal.kind if refusal.kind.isupper() else self.kind_of(refusal.status)
        error: Body = {"code": refusal.status, "message": refusal.message, "status": status}
        if wait:
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"}]
        return [{"error": error}] if _ARRAY.get() else {"error": error}

    # -- answers -------------------------------------------------------------------------------------------------------

    def document(self, record: Record, answer: Answer) -> bytes:
        said = _Said(record, answer)
        reply = said.reply([said.candidate(said.parts(), last=True), *said.others()])
        return to_json(said.blocked() if answer.style.habit == "blocked" else reply, answer).encode()

    def frames(self, record: Record, answer: Answer) -> Frames:
        said = _Said(record, answer)
        if answer.style.habit == "blocked":
            return Frames([frame(to_json(said.blocked(), answer), answer)], [], [], [])
        rows, last = said.chunks()
        if answer.style.habit in CHUNKS:
            rows, last = CHUNKS[answer.style.habit](rows, last)
        if not _ARRAY.get():
            written = [frame(to_json(row, answer), answer) for row in (*rows, last)]
            return Frames([], written[:-1], written[-1:], [])
        texts = [to_json(row, answer).encode() for row in (*rows, last)]
        texts = [b"[" + texts[0], *(b",\r\n" + text for text in texts[1:])]
        return Frames([], texts[:-1], texts[-1:], [b"]"])


class _Said:
    """One answer as this request gets it: thoughts only if it asked for them, ids and signatures as its model gives them."""

    def __init__(self, record: Record, answer: Answer) -> None:
        body = spelled(record.body)
        self.answer = answer
        self.model = model_of(record)
        config = body.get("generationConfig") or {}
        self.shows = bool((config.get("thinkingConfig") or {}).get("includeThoughts"))
        self.signs = is_new(self.model) or (self.shows and bool(body.get("tools")))
        self.count = int(config.get("candidateCount") or 1)
        self.ident = os.urandom(8).hex()

    def parts(self) -> list[Body]:
        """All parts, whole; a signature stands on the first call, or on the last text where there is no call."""
        parts = [p for part in self.answer.parts if (p := self._part(part)) is not None]
        if self.answer.refusal:
            parts.append({"text": self.answer.refusal})
        signed = next((p for p in parts if "functionCall" in p), None)
        if signed is not None and self.signs:
            call = signed["functionCall"]
            signed["thoughtSignature"] = sign_call(call["name"], call["args"])
        elif self.signs and (texts := [p for p in parts if "thought" not in p]):
            texts[-1]["thoughtSignature"] = sign_text()
        return parts

    def _part(self, part: Any) -> Body | None:
        match part:
            case Thinking(text):
                return {"text": text, "thought": True} if self.shows else None
            case Text(text):
                return {"text": text}
            case Call(name, args, id):
                if isinstance(args, str):
                    raise TypeError("the Gemini dialect has arguments only as an object")
                ident = id or (f"{name[:20]}_{os.urandom(4).hex()}" if is_new(self.model) else "")
                return {"functionCall": {**({"id": ident} if ident else {}), "name": name, "args": dict(args)}}
        raise TypeError(f"the Gemini dialect cannot answer with {part!r}")

    def chunks(self) -> tuple[list[Body], Body]:
        """Each text in pieces, each call whole. What signs a text comes in an empty one of the last chunk."""
        style = self.answer.style
        rows: list[Body] = []
        tail: Body = {"text": ""}
        for part in self.parts():
            if "text" not in part:
                rows.append(part)
                continue
            signature = part.pop("thoughtSignature", None)
            rows += [{**part, "text": piece} for piece in pieces(part["text"], style.pieces)]
            tail |= {"thoughtSignature": signature} if signature else {}
        groups = [[row] for row in rows]
        if style.whole_calls:  # parallel calls in one chunk
            calls = [row for row in rows if "functionCall" in row]
            groups = [[row] for row in rows if "functionCall" not in row] + ([calls] if calls else [])
        last = groups.pop() if style.finish_with_content and groups else [tail]
        body = [self.reply([self.candidate(group)], spent=False) for group in groups]
        for index, text in enumerate(self.answer.others[: self.count - 1], 1):
            body += [self.reply([_candidate([{"text": p}], index)], spent=False) for p in pieces(text, style.pieces)]
        ends = [self.candidate(last, last=True)]
        ends += [{**_candidate([{"text": ""}], i), "finishReason": "STOP"} for i in range(1, 1 + len(self.others()))]
        return body, self.reply(ends)

    def candidate(self, parts: list[Body], last: bool = False) -> Body:
        row = _candidate(parts, 0)
        if last:
            row["finishReason"] = _finish(self.answer)
            if _finish(self.answer) == "SAFETY":
                row["safetyRatings"] = _RATINGS
            if cites := [c for p in self.answer.parts if isinstance(p, Text) for c in p.cites]:
                row["groundingMetadata"] = _grounding(self.answer, cites)
        return row

    def others(self) -> list[Body]:
        texts = self.answer.others[: self.count - 1]
        return [{**_candidate([{"text": t}], i), "finishReason": "STOP"} for i, t in enumerate(texts, 1)]

    def reply(self, candidates: list[Body], spent: bool = True) -> Body:
        reply: Body = {"candidates": candidates}
        if self.answer.style.usage != "never":
            reply["usageMetadata"] = usage_of(self.answer, spent)
        return reply | {"modelVersion": self.model, "responseId": self.ident}

    def blocked(self) -> Body:
        """A prompt that was not even answered."""
        reply = self.reply([])
        del reply["candidates"]
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": _RATINGS}, **reply}


_RATINGS = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]


def to_json(value: Any, answer: Answer) -> str:
    """Google's servers write the separators of JavaScript escaped: its SDK for JavaScript takes them for ends of lines."""
    return plain_json(value, answer).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def model_of(record: Record) -> str:
    found = _CALL.fullmatch(record.request.path)
    return found[1].rpartition("/")[2] if found else ""


def usage_of(answer: Answer, spent: bool = True) -> Body:
    """Thoughts are counted apart from the answer, what came from a cache inside the prompt. Chunks before the last know the
    prompt alone."""
    usage = answer.usage
    prompt = usage.input + usage.cached + usage.written
    row: Body = {"promptTokenCount": prompt, "totalTokenCount": prompt + (usage.output if spent else 0)}
    row["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    if usage.cached:
        row["cachedContentTokenCount"] = usage.cached
    if spent:
        row["candidatesTokenCount"] = usage.output - usage.reasoning
        if usage.reasoning:
            row["thoughtsTokenCount"] = usage.reasoning
    return row


def _candidate(parts: list[Body], index: int) -> Body:
    return {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}, "index": index}


def _finish(answer: Answer) -> str:
    return {"length": "MAX_TOKENS", "refusal": "SAFETY"}.get(answer.ending, "STOP")


def _grounding(answer: Answer, cites: list[Cite]) -> Body:
    chunks = [{"web": {"uri": c.url, "title": c.title}} for c in cites]
    supports: list[Body] = []
    at = 0
    for part in answer.parts:
        if not isinstance(part, Text):
            continue
        size = len(part.text.encode())
        for cite in part.cites:
            segment = {"startIndex": at, "endIndex": at + size, "text": part.text}
            supports.append({"segment": segment, "groundingChunkIndices": [cites.index(cite)]})
        at += size
    return {"groundingChunks": chunks, "groundingSupports": supports, "webSearchQueries": ["scripted"]}


def _model(name: str) -> Body:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": True,
    }
