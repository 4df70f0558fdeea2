"""Gemini requests in one line, for tests of the translation, and hypothesis strategies for valid ones. Knows no test."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.genai import types
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from anyllm_fast.dialects import anthropic_request, gemini_request, openai_chat_request
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request
from tests.strategies import BASE64, NAME, OBJECT, WORDS

Json = dict[str, Any]
PLAIN = Profile()
GEMINI_3 = Profile(thinking_levels=True, call_signatures=True, media_results=True, part_resolution=True)
SUBSET = Profile(json_schemas=False)
LIMITS = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
PIXEL = "iVBORw0KGgo="


def said(*parts: Json, role: str = "user") -> Json:
    return {"role": role, "parts": list(parts)}


def asked(*contents: Json, **members: Any) -> Json:
    return {"contents": list(contents) or [said({"text": "hi"})], **members}


def call(name: str = "f", args: Json | None = None, **members: Any) -> Json:
    return {"functionCall": {"name": name, "args": args or {}, **members}}


def response(name: str = "f", said: Any = None, **members: Any) -> Json:
    return {"functionResponse": {"name": name, "response": {"output": "done"} if said is None else said, **members}}


def read(body: Json | bytes) -> tuple[Request, dict[str, str]]:
    losses = Losses()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gemini_request.read_request(raw, losses), dict(losses)


def translated(source: Any, target: Any, body: Json, profile: Profile = PLAIN) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = source.read_request(json.dumps(body).encode(), losses)
    return json.loads(target.write_request(request, "m", profile, losses)), dict(losses)


def home(body: Json, profile: Profile = PLAIN) -> Json:
    return translated(gemini_request, gemini_request, body, profile)[0]


def to_anthropic(body: Json) -> tuple[Json, dict[str, str]]:
    return translated(gemini_request, anthropic_request, body)


def to_chat(body: Json) -> tuple[Json, dict[str, str]]:
    return translated(gemini_request, openai_chat_request, body)


def from_anthropic(*messages: Json, profile: Profile = PLAIN, **members: Any) -> tuple[Json, dict[str, str]]:
    body = {"model": "m", "max_tokens": 100, "messages": list(messages), **members}
    out, losses = translated(anthropic_request, gemini_request, body, profile)
    check(out)
    return out, losses


def from_chat(*messages: Json, profile: Profile = PLAIN, **members: Any) -> tuple[Json, dict[str, str]]:
    body = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **members}
    out, losses = translated(openai_chat_request, gemini_request, body, profile)
    check(out)
    return out, losses


def check(out: Json) -> None:
    """The published types take it, and nothing in it is unknown to them."""
    assert "model" not in out and list(out)[-1] == "contents"
    for content in out["contents"]:
        types.Content.model_validate(content)
        assert content["parts"]
    for tool in out.get("tools", ()):
        types.Tool.model_validate(tool)
    types.GenerationConfig.model_validate(out.get("generationConfig", {}))
    types.ToolConfig.model_validate(out.get("toolConfig", {}))
    if "systemInstruction" in out:
        types.Content.model_validate(out["systemInstruction"])


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def answer(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def use(ident: str = "c1", name: str = "f", **members: Any) -> Json:
    return {"type": "tool_use", "id": ident, "name": name, "input": {"a": 1}, **members}


def result(ident: str = "c1", content: Any = "done", **members: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": ident, "content": content, **members}


SIGNATURE = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
EXTRA = st.dictionaries(st.sampled_from(["xOne", "xTwo"]), st.integers() | WORDS, max_size=1)


def node(members: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(lambda one, more: {**one, **more}, members, EXTRA)


TEXT = node(st.builds(lambda text: {"text": text}, WORDS))
BLOB = st.builds(
    lambda data, kind: {"inlineData": {"mimeType": kind, "data": data}}, BASE64, st.sampled_from(["image/png", "application/pdf"])
)
FILE = st.sampled_from(
    [{"fileData": {"fileUri": "https://a/b.png"}}, {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://a/b"}}]
)
THOUGHT = st.builds(lambda text: {"text": text, "thought": True}, WORDS)
CODE = st.builds(lambda code: {"executableCode": {"language": "PYTHON", "code": code}}, WORDS)
SAID = (
    st.builds(lambda text: {"output": text}, WORDS)
    | st.builds(lambda text: {"error": text}, WORDS)
    | OBJECT.map(lambda said: {"x": said})
)


@st.composite
def signed(draw: st.DrawFn, parts: st.SearchStrategy[Json]) -> Json:
    part = draw(parts)
    return {**part, "thoughtSignature": draw(SIGNATURE)} if draw(st.booleans()) else part


@st.composite
def turns(draw: st.DrawFn, rounds: st.SearchStrategy[int] | None = None) -> list[Json]:
    contents: list[Json] = []
    for number in range(draw(st.integers(0, 3) if rounds is None else rounds)):
        contents.append(said(*draw(st.lists(TEXT | BLOB | FILE, min_size=1, max_size=3))))
        parts = draw(st.lists(THOUGHT | signed(TEXT) | CODE, max_size=3))
        named = draw(st.booleans())
        calls = draw(st.lists(st.tuples(NAME, OBJECT), max_size=2))
        for at, (name, args) in enumerate(calls):
            ident = {"id": f"id_{number}_{at}"} if named else {}
            part = {"functionCall": {**ident, "name": name, "args": args}}
            parts.append({**part, "thoughtSignature": draw(SIGNATURE)} if at == 0 and draw(st.booleans()) else part)
        if parts:
            contents.append(said(*parts, role="model"))
        if calls:
            responses = [
                {"functionResponse": {**({"id": f"id_{number}_{at}"} if named else {}), "name": name, "response": draw(SAID)}}
                for at, (name, _) in enumerate(calls)
            ]
            contents.append(said(*responses))
    return contents


DECLARED = st.builds(
    lambda name, schema: {"functionDeclarations": [{"name": name, **schema}]},
    NAME,
    st.sampled_from(
        [
            {},
            {"parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
            {"parametersJsonSchema": {"type": "object"}},
        ]
    ),
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "topK": st.integers(1, 40),
        "maxOutputTokens": st.integers(1, 9),
        "stopSequences": st.lists(WORDS, max_size=6),
        "seed": st.integers(-5, 5),
        "thinkingConfig": st.sampled_from([{"thinkingBudget": 0}, {"include_thoughts": True}, {"thinkingLevel": "LOW"}]),
        "responseMimeType": st.sampled_from(["application/json", "text/plain"]),
        "candidateCount": st.integers(1, 2),
        "speechConfig": st.just({"languageCode": "de"}),
    },
)


@st.composite
def gemini_requests(draw: st.DrawFn) -> Json:
    body: Json = {"contents": draw(turns())}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "systemInstruction": st.lists(TEXT, min_size=1, max_size=2).map(lambda parts: {"parts": parts}) | WORDS,
        "tools": st.lists(DECLARED | st.just({"googleSearch": {}}), min_size=1, max_size=2),
        "toolConfig": st.just({"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "de"}}),
        "generationConfig": CONFIG,
        "safetySettings": st.just([{"category": "x"}]),
        "cachedContent": st.just("cachedContents/1"),
        "labels": st.just({"a": "b"}),
        "store": st.booleans(),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            body[name] = draw(values)
    return body
