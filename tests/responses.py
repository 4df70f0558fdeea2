"""Responses requests in one line, for tests of the translation: what is sent and what is lost. Knows no test."""

from __future__ import annotations

import json
from typing import Any

from anyllm_fast.dialects import anthropic_request, openai_chat_request, openai_responses_request
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import (
    Request,
)

Json = dict[str, Any]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def read(*items: Json, **params: Any) -> Request:
    body = {"model": "asked-for", "input": list(items), **params}
    return openai_responses_request.read_request(json.dumps(body).encode(), Losses())


def sent(writer: Any, body: Json, profile: Profile | None = None) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = openai_responses_request.read_request(json.dumps(body).encode(), losses)
    return json.loads(writer.write_request(request, "m", profile or Profile(), losses)), dict(losses)


def to_chat(*items: Json, **params: Any) -> tuple[Json, dict[str, str]]:
    return sent(openai_chat_request, {"model": "m", "input": list(items), **params})


def home(*items: Json, **params: Any) -> Json:
    return sent(openai_responses_request, {"model": "m", "input": list(items), **params})[0]


def written(reader: Any, body: Json, profile: Profile | None = None) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = reader.read_request(json.dumps(body).encode(), losses)
    out = openai_responses_request.write_request(request, "m", profile or Profile(), losses)
    return json.loads(out), dict(losses)


def of_anthropic(*messages: Json, profile: Profile | None = None, **params: Any) -> tuple[Json, dict[str, str]]:
    return written(anthropic_request, {"model": "m", "max_tokens": 2000, "messages": list(messages), **params}, profile)


def of_chat(*messages: Json, profile: Profile | None = None, **params: Any) -> tuple[Json, dict[str, str]]:
    return written(openai_chat_request, {"model": "m", "messages": list(messages), **params}, profile)


def user(content: Any = "hi") -> Json:
    return {"role": "user", "content": content}


def call(ident: str = "call_1", name: str = "f", arguments: str = "{}", **members: Any) -> Json:
    return {"type": "function_call", "call_id": ident, "name": name, "arguments": arguments, **members}


def done(output: Any = "done", ident: str = "call_1") -> Json:
    return {"type": "function_call_output", "call_id": ident, "output": output}


def value(raw: Any) -> Any:
    """What raw JSON says."""
    return None if raw is None else json.loads(bytes(raw))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
