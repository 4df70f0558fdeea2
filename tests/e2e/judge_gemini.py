"""The google-genai SDK as a judge: a request a line on stdin, what the SDK made of the answer a line on stdout.

A job's body is of the wire; the SDK is called as a program calls it, with contents and one flat config. It has no accumulator for
streams, so the parts of the chunks are put together here as its documents tell programs to. Runs under the interpreter of the SDK
version being judged; imports nothing of this project.
"""

import asyncio
import json
from functools import cache

from google import genai
from google.genai import types
from judging import TIMEOUT, describe, judge, shape, told

_OUTSIDE = ("systemInstruction", "tools", "toolConfig", "safetySettings", "cachedContent", "serviceTier", "store", "labels")


def options(job):
    return job["base_url"], job.get("key", "e2e-key"), job.get("retries", 0), job.get("timeout", TIMEOUT)


@cache
def client_of(base_url, key, retries, timeout):
    """One client for all jobs to one place: making one costs more than a call."""
    codes = [408, 429, 500, 502, 503, 504, 529]
    retry = types.HttpRetryOptions(attempts=retries + 1, initial_delay=0.01, max_delay=0.05, http_status_codes=codes)
    http = types.HttpOptions(base_url=base_url, timeout=int(timeout * 1000), retry_options=retry)
    return genai.Client(api_key=key, http_options=http, vertexai=False)


def arguments(job):
    """The wire's body as the SDK's arguments. What this version does not know goes into the body all the same."""
    body = dict(job["body"])
    known = {field.alias or name for name, field in types.GenerateContentConfig.model_fields.items()}
    contents = [types.Content.model_validate_json(json.dumps(c)) for c in body.pop("contents")]
    model = body.pop("model")
    given = {**body.pop("generationConfig", {}), **{k: body.pop(k) for k in _OUTSIDE if k in body}}
    extra = dict(body)
    if strange := {k: v for k, v in given.items() if k not in known}:
        extra["generationConfig"] = strange
    config = types.GenerateContentConfig.model_validate_json(json.dumps({k: v for k, v in given.items() if k in known}))
    config.http_options = types.HttpOptions(headers=job.get("headers"), extra_body=extra or None)
    return {"model": model, "contents": contents, "config": config}


def dump(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"parsed", "sdk_http_response"})


def headers_of(reply):
    """Not every version shows them."""
    http = getattr(reply, "sdk_http_response", None)
    return dict(http.headers) if http is not None and http.headers else {}


def whole(job):
    reply = client_of(*options(job)).models.generate_content(**arguments(job))
    return {"final": dump(reply), "headers": headers_of(reply)}


class Gathered:
    """The chunks of a stream as one reply."""

    def __init__(self):
        self.final, self.deltas, self.headers, self.count = {}, [], {}, 0

    def add(self, chunk):
        self.count += 1
        self.headers = self.headers or headers_of(chunk)
        row = dump(chunk)
        for candidate in row.pop("candidates", []):
            self._merge(candidate)
        self.final |= row
        said = [p.text for c in chunk.candidates or [] if c.content for p in c.content.parts or [] if p.text and not p.thought]
        if text := "".join(said):
            self.deltas.append(text)

    def _merge(self, candidate):
        mine = self.final.setdefault("candidates", [])
        index = candidate.get("index", 0)
        kept = next((c for c in mine if c.get("index", 0) == index), None)
        if kept is None:
            kept = {"index": index, "content": {"role": "model", "parts": []}}
            mine.append(kept)
        parts = candidate.pop("content", {}).get("parts", [])
        kept |= candidate
        for part in parts:
            append(kept["content"]["parts"], part)


def append(parts, part):
    """Pieces of one text become one; a part with a signature stays a part of its own, and so does what follows it."""
    last = parts[-1] if parts else None
    plain = set(part) <= {"text", "thought"} and last is not None and set(last) <= {"text", "thought"}
    if plain and "text" in last and last.get("thought") == part.get("thought"):
        parts[-1] = {**last, "text": last["text"] + part["text"]}
    elif part.get("text") != "" or "thoughtSignature" in part:
        parts.append(part)


def stream(job):
    gathered = Gathered()
    try:
        for chunk in client_of(*options(job)).models.generate_content_stream(**arguments(job)):
            before = len(gathered.deltas)
            gathered.add(chunk)
            if len(gathered.deltas) > before:
                told(job, len(gathered.deltas))
                if job.get("leave_after") == len(gathered.deltas):
                    return {"left": True, "headers": gathered.headers}
    except Exception as error:
        return {"error": described(error), "partial": "".join(gathered.deltas), "headers": gathered.headers}
    return verdict(gathered)


def verdict(gathered):
    if not gathered.count:
        return {"error": {"classes": ["EmptyStream"], "status": None, "message": "no chunk came"}, "headers": {}}
    if not any("finishReason" in c for c in gathered.final.get("candidates", [])) and "promptFeedback" not in gathered.final:
        broken = {"classes": ["Unfinished"], "status": None, "message": "the stream ended without a finishReason"}
        return {"error": broken, "partial": "".join(gathered.deltas), "headers": gathered.headers}
    return {"final": gathered.final, "deltas": gathered.deltas, "headers": gathered.headers}


async def stream_async(job):
    gathered = Gathered()
    client = client_of.__wrapped__(*options(job))
    async for chunk in await client.aio.models.generate_content_stream(**arguments(job)):
        gathered.add(chunk)
    return verdict(gathered)


def raw(job):
    """Every chunk as it came, for what gathering hides."""
    chunks = list(client_of(*options(job)).models.generate_content_stream(**arguments(job)))
    return {"raw": [dump(c) for c in chunks], "headers": headers_of(chunks[0]) if chunks else {}}


def parse(job):
    """A structured answer by the SDK's own helper, which writes the schema."""
    given = arguments(job)
    given["config"].response_mime_type = "application/json"
    given["config"].response_schema = shape()
    reply = client_of(*options(job)).models.generate_content(**given)
    return {"final": dump(reply), "parsed": reply.parsed.model_dump()}


def chat(job):
    """The SDK's own keeper of a conversation: it says `more` after the answer, with the history as it recorded that."""
    given = arguments(job)
    *history, last = given["contents"]
    session = client_of(*options(job)).chats.create(model=given["model"], config=given["config"], history=history)
    replies = []
    for message in (last.parts, job["more"]):
        gathered = Gathered()
        for chunk in session.send_message_stream(message):
            gathered.add(chunk)
        replies.append(gathered.final)
    return {"final": replies[-1], "first": replies[0]}


def count(job):
    given = arguments({**job, "body": {"contents": [], **job["body"]}})
    counted = client_of(*options(job)).models.count_tokens(model=given["model"], contents=given["contents"])
    return {"final": dump(counted)}


def models(job):
    listed = client_of(*options(job)).models.list(config={"query_base": True})
    return {"final": {"ids": [m.name.removeprefix("models/") for m in listed]}}


def described(error):
    """This SDK has the status as `code` and the error object as `details`."""
    out = describe(error)
    out["status"] = getattr(error, "code", None)
    out["body"] = getattr(error, "details", None)
    return out


def guarded(mode):
    def run(job):
        try:
            return mode(job)
        except Exception as error:
            return {"error": described(error)}

    return run


MODES = {
    "whole": whole,
    "stream": stream,
    "raw": raw,
    "parse": parse,
    "chat": chat,
    "count": count,
    "models": models,
    "async": lambda job: asyncio.run(stream_async(job)),
}

if __name__ == "__main__":
    judge({name: guarded(mode) for name, mode in MODES.items()})
