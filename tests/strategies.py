"""Hypothesis strategies for valid requests of both dialects, as decoded JSON; `spelled` writes one the ways that clients do.

Every request is one that its own vendor would take: roles in turn, each call answered behind it in order. Nodes may have members
that nobody knows yet (`x_...`), blocks a type that nobody knows yet.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

LETTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(LETTERS, max_size=20)
WORDS = st.text(LETTERS, max_size=20).map(lambda text: f"w{text}w")  # never blank, no white space at its ends
NAME = st.text("abcXYZ_-09", min_size=1, max_size=12)
BASE64 = st.binary(max_size=12).map(lambda data: base64.b64encode(data).decode())
NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, VALUE | st.none(), max_size=3)
EXTRA = st.dictionaries(st.sampled_from(["x_one", "x_two"]), VALUE, max_size=1)
SCHEMA = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(NAME, st.just({"type": "string"}), max_size=2)},
    optional={"additionalProperties": st.just(False), "$schema": st.just("https://json-schema.org/draft/2020-12/schema")},
)


def node(required: Json, optional: Json | None = None) -> st.SearchStrategy[Json]:
    """An object with these members, and now and then with one that nobody knows."""
    known = st.fixed_dictionaries(
        {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in required.items()},
        optional=optional or {},
    )
    return st.builds(lambda one, more: {**one, **more}, known, EXTRA)


def spelled(body: Json, ascii_only: bool = False, indent: int | None = None) -> bytes:
    return json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode()


SPELLINGS = st.tuples(st.booleans(), st.sampled_from([None, 1]))

# Anthropic Messages

CACHE = {"cache_control": st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])}
CITATIONS = {
    "citations": st.lists(node({"type": "char_location", "cited_text": TEXT, "document_index": 0}), min_size=1, max_size=1)
}
A_TEXT = node({"type": "text", "text": WORDS}, CACHE)
A_SOURCE = node({"type": "base64", "media_type": st.sampled_from(["image/png", "image/jpeg"]), "data": BASE64}) | node(
    {"type": "url", "url": st.just("https://example.com/a.png")}
)
A_IMAGE = node({"type": "image", "source": A_SOURCE}, CACHE)
A_FILE = node({"type": "document", "source": node({"type": "base64", "media_type": "application/pdf", "data": BASE64})}, CACHE)
A_DOCUMENT = A_FILE | node(
    {
        "type": "document",
        "source": node({"type": "text", "media_type": "text/plain", "data": TEXT})
        | node({"type": "content", "content": st.lists(A_TEXT | A_IMAGE, max_size=2)}),
    },
    {**CACHE, "title": TEXT, "context": TEXT, "citations": st.just({"enabled": True})},
)
A_ELSEWHERE = node({"type": "image", "source": node({"type": "file", "file_id": NAME})}) | node(
    {"type": "document", "source": node({"type": "url", "url": "https://example.com/a.pdf"})}
)
A_SEARCH = node({"type": "search_result", "source": TEXT, "title": TEXT, "content": st.lists(A_TEXT, max_size=2)}, CACHE)
A_FUTURE = st.builds(lambda members: {"type": "block_of_tomorrow", **members}, OBJECT.map(lambda it: {"content": it}))
A_SERVER = st.sampled_from(
    [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result", "title": "T", "url": "https://example.com", "encrypted_content": "E"}],
        },
    ]
)
A_THINKING = node({"type": "thinking", "thinking": TEXT, "signature": TEXT}) | node({"type": "redacted_thinking", "data": TEXT})
A_ANSWER_TEXT = node({"type": "text", "text": WORDS}, {**CACHE, **CITATIONS})


@st.composite
def anthropic_turns(draw: st.DrawFn, rounds: st.SearchStrategy[int], *, foreign: bool) -> list[Json]:
    """user, assistant, user ...: each round is a question and an answer, whose calls the next question answers."""
    messages: list[Json] = []
    user = A_TEXT | A_IMAGE | A_DOCUMENT | (A_SEARCH | A_FUTURE | A_ELSEWHERE if foreign else A_SEARCH)
    answer = A_ANSWER_TEXT | A_SERVER if foreign else A_ANSWER_TEXT
    pending: list[Json] = []
    for number in range(draw(rounds)):
        results = [draw(anthropic_result(call["id"])) for call in pending]
        content: Any = results + draw(st.lists(user, min_size=0 if results else 1, max_size=2))
        messages.append({"role": "user", "content": content if results or draw(st.booleans()) else draw(WORDS)})
        calls = [draw(anthropic_call(f"toolu_{number}_{index}")) for index in range(draw(st.integers(0, 2)))]
        blocks = [
            *draw(st.lists(A_THINKING, max_size=1)),
            *draw(st.lists(answer, min_size=0 if calls else 1, max_size=2)),
            *calls,
        ]
        plain = not calls and draw(st.booleans())
        messages.append({"role": "assistant", "content": draw(WORDS) if plain else blocks})
        pending = calls
    results = [draw(anthropic_result(call["id"])) for call in pending]
    messages.append({"role": "user", "content": results or draw(WORDS)})
    return messages


def anthropic_call(ident: str) -> st.SearchStrategy[Json]:
    return node({"type": "tool_use", "id": ident, "name": NAME, "input": OBJECT}, CACHE)


def anthropic_result(ident: str) -> st.SearchStrategy[Json]:
    content = TEXT | st.lists(A_TEXT | A_IMAGE | A_FILE | A_SEARCH, min_size=1, max_size=2)
    return node({"type": "tool_result", "tool_use_id": ident}, {**CACHE, "content": content, "is_error": st.just(True)})


A_TOOL = node(
    {"name": NAME, "input_schema": SCHEMA},
    {**CACHE, "description": TEXT, "strict": st.booleans(), "defer_loading": st.just(True), "input_examples": st.just([{}])},
) | st.sampled_from(
    [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["example.com"]},
        {"type": "bash_20250124", "name": "bash"},
    ]
)
A_CHOICE = (
    node({"type": st.sampled_from(["auto", "any"])}, {"disable_parallel_tool_use": st.booleans()})
    | node({"type": "tool", "name": NAME}, {"disable_parallel_tool_use": st.booleans()})
    | node({"type": "none"})
)
A_THINKS = node({"type": "enabled", "budget_tokens": st.integers(1024, 9999)}, {"display": st.just("omitted")}) | node(
    {"type": st.sampled_from(["adaptive", "between_tools", "disabled"])}
)
A_PARAMS: Json = {
    "system": WORDS | st.lists(A_TEXT, min_size=1, max_size=2),
    "temperature": st.floats(0, 1),
    "top_p": st.floats(0, 1),
    "top_k": st.integers(0, 99),
    "stop_sequences": st.lists(TEXT, max_size=6),
    "metadata": node({"user_id": TEXT}),
    "service_tier": st.sampled_from(["auto", "standard_only"]),
    "thinking": A_THINKS,
    "output_config": node(
        {}, {"effort": st.sampled_from(["low", "max"]), "format": node({"type": "json_schema", "schema": SCHEMA})}
    ).filter(bool),
    "tools": st.lists(A_TOOL, min_size=1, max_size=3),
    "tool_choice": A_CHOICE,
    "stream": st.just(True),
    "cache_control": CACHE["cache_control"],
    "context_management": st.just({"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}),
}


@st.composite
def anthropic_requests(draw: st.DrawFn, *, foreign: bool = True) -> Json:
    """`foreign`: also with what no other dialect can say."""
    body = draw(node({"model": NAME, "max_tokens": st.integers(1, 9999)}, A_PARAMS))
    body["messages"] = draw(anthropic_turns(st.integers(0, 3), foreign=foreign))
    return body


# OpenAI Chat Completions

BREAK = {"prompt_cache_breakpoint": st.sampled_from([{"mode": "explicit"}, {"mode": "explicit", "ttl": "12h"}])}
C_TEXT = node({"type": "text", "text": WORDS}, BREAK)
C_IMAGE = node(
    {
        "type": "image_url",
        "image_url": node(
            {"url": st.just("https://example.com/a.png") | BASE64.map(lambda data: f"data:image/png;base64,{data}")},
            {"detail": st.sampled_from(["auto", "low"])},
        ),
    },
    BREAK,
)
C_FILE = node(
    {
        "type": "file",
        "file": node({"file_data": BASE64.map(lambda data: f"data:application/pdf;base64,{data}")}, {"filename": TEXT})
        | node({"file_id": NAME}),
    },
    BREAK,
)
C_AUDIO = node({"type": "input_audio", "input_audio": node({"data": BASE64, "format": st.sampled_from(["wav", "mp3"])})}, BREAK)
C_FUTURE = st.builds(lambda inside: {"type": "part_of_tomorrow", "inside": inside}, OBJECT)


def chat_call(ident: str) -> st.SearchStrategy[Json]:
    arguments = st.builds(lambda value, indent: json.dumps(value, indent=indent), OBJECT, st.sampled_from([None, 2]))
    return node({"id": ident, "type": "function", "function": node({"name": NAME, "arguments": arguments})})


def custom_call(ident: str) -> st.SearchStrategy[Json]:
    return node({"id": ident, "type": "custom", "custom": node({"name": NAME, "input": TEXT})})


def chat_result(ident: str) -> st.SearchStrategy[Json]:
    return node({"role": "tool", "tool_call_id": ident, "content": TEXT | st.lists(C_TEXT, min_size=1, max_size=2)})


@st.composite
def chat_turns(draw: st.DrawFn, rounds: st.SearchStrategy[int], *, foreign: bool) -> list[Json]:
    system = node({"role": st.sampled_from(["system", "developer"]), "content": WORDS | st.lists(C_TEXT, min_size=1, max_size=2)})
    messages = draw(st.lists(system, max_size=2))
    part = C_TEXT | C_IMAGE | C_FILE | (C_AUDIO | C_FUTURE if foreign else C_TEXT)
    user = node({"role": "user", "content": WORDS | st.lists(part, min_size=1, max_size=2)}, {"name": NAME})
    reasons = (
        {"reasoning_content": WORDS} if draw(st.booleans()) else {"thinking_blocks": st.lists(A_THINKING, min_size=1, max_size=2)}
    )
    for number in range(draw(rounds)):
        messages.append(draw(user))
        calls = [draw(chat_call(f"call_{number}_{index}")) for index in range(draw(st.integers(0, 2)))]
        said = WORDS | st.lists(C_TEXT | node({"type": "refusal", "refusal": WORDS}), min_size=1, max_size=2)
        shown = {"images": st.lists(C_IMAGE, min_size=1, max_size=2)} if foreign else {}
        answer = draw(node({"role": "assistant", "content": said}, {**reasons, **shown, "name": NAME, "refusal": WORDS}))
        if foreign and draw(st.booleans()):
            calls.append(draw(custom_call(f"call_{number}_free")))
        messages.append({**answer, "tool_calls": calls} if calls else answer)
        messages += [draw(chat_result(call["id"])) for call in calls]
    messages.append(draw(user))
    return messages


C_TOOL = node(
    {"type": "function", "function": node({"name": NAME}, {"description": TEXT, "parameters": SCHEMA, "strict": st.booleans()})}
)
C_CUSTOM = node({"type": "custom", "custom": node({"name": NAME}, {"description": TEXT, "format": st.just({"type": "text"})})})
C_CHOICE = (
    st.sampled_from(["none", "auto", "required"])
    | node({"type": "function", "function": node({"name": NAME})})
    | node({"type": "custom", "custom": node({"name": NAME})})
)
C_PARAMS: Json = {
    "max_completion_tokens": st.integers(1, 9999),
    "max_tokens": st.integers(1, 9999),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "stop": TEXT | st.lists(TEXT, min_size=2, max_size=4),
    "user": TEXT,
    "safety_identifier": TEXT,
    "service_tier": st.sampled_from(["auto", "flex"]),
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "high", "max"]),
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}])
    | node({"type": "json_schema", "json_schema": node({"name": NAME, "schema": SCHEMA}, {"strict": st.booleans()})}),
    "tool_choice": C_CHOICE,
    "parallel_tool_calls": st.booleans(),
    "stream": st.just(True),
    "stream_options": node({"include_usage": True}, {"include_obfuscation": st.booleans()}),
    "web_search_options": node({}, {"search_context_size": st.sampled_from(["low", "medium"])}),
    "n": st.integers(1, 2),
    "seed": st.integers(-99, 99),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.sampled_from([0, 0.0, 1]),
    "logprobs": st.booleans(),
    "top_logprobs": st.integers(0, 5),
    "verbosity": st.sampled_from(["low", "medium"]),
    "metadata": st.sampled_from([{}, {"a": "b"}]),
    "store": st.booleans(),
    "prompt_cache_key": TEXT,
    "prompt_cache_retention": st.sampled_from(["in_memory", "24h"]),
}


@st.composite
def chat_requests(draw: st.DrawFn, *, foreign: bool = True) -> Json:
    tool = C_TOOL | C_CUSTOM if foreign else C_TOOL
    body = draw(node({"model": NAME}, {**C_PARAMS, "tools": st.lists(tool, min_size=1, max_size=3)}))
    body["messages"] = draw(chat_turns(st.integers(0, 3), foreign=foreign))
    return body
