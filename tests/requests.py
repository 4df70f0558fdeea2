"""Requests in one line, for tests of the translation: what is sent, what is lost, what is refused."""

from __future__ import annotations

import json
from typing import Any

from anyllm_fast.dialects import anthropic_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses

Json = dict[str, Any]
Sent = tuple[Json, dict[str, str]]

PLAIN = Profile()


def to_chat(body: Json | bytes, profile: Profile = PLAIN) -> Sent:
    """An Anthropic request as it goes to a Chat target, and the announced losses."""
    losses = Losses()
    request = anthropic_request.read_request(body if isinstance(body, bytes) else json.dumps(body).encode(), losses)
    return json.loads(openai_chat_request.write_request(request, "m", profile, losses)), dict(losses)


def to_anthropic(body: Json | bytes, profile: Profile = PLAIN) -> Sent:
    """A Chat request as it goes to an Anthropic target, and the announced losses."""
    losses = Losses()
    request = openai_chat_request.read_request(body if isinstance(body, bytes) else json.dumps(body).encode(), losses)
    return json.loads(anthropic_request.write_request(request, "m", profile, losses)), dict(losses)


def refusal(translate: Any, body: Json | bytes, profile: Profile = PLAIN) -> str:
    """The refusal's path and words; fails if the request is not refused."""
    try:
        translate(body, profile)
    except InvalidRequest as error:
        return str(error)
    raise AssertionError("not refused")


def asked(content: Any = "hi", **params: Any) -> Json:
    """A request with one user message, good in both dialects."""
    return {"model": "asked-for", "max_tokens": 2000, "messages": [{"role": "user", "content": content}], **params}


def talked(*messages: Json, **params: Any) -> Json:
    return {"model": "asked-for", "max_tokens": 2000, "messages": list(messages), **params}


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def assistant(content: Any = None, **members: Any) -> Json:
    return {"role": "assistant", "content": content, **members}


def use(ident: str, name: str = "f", arguments: Any = None) -> Json:
    return {"type": "tool_use", "id": ident, "name": name, "input": arguments or {}}


def result(ident: str, content: Any = "done", **members: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": ident, "content": content, **members}


def call(ident: str, name: str = "f", arguments: str = "{}") -> Json:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(ident: str, content: Any = "done") -> Json:
    return {"role": "tool", "tool_call_id": ident, "content": content}


def tool(name: str = "f", **members: Any) -> Json:
    return {"name": name, "input_schema": {"type": "object", "properties": {}}, **members}


def function(name: str = "f", **members: Any) -> Json:
    return {"type": "function", "function": {"name": name, **members}}
