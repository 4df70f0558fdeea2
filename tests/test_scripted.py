"""Tests of the scripted upstreams themselves: they refuse what the real services refuse, and read what they were sent."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import chat_rules, messages_rules
from scripted.answer import Call, Document, Image, Result, Text, Thinking, answer_of_json, find_directive, pieces
from scripted.asked import Asked, Tool, assistant, read_chat, read_messages, user, write_chat, write_messages
from scripted.signing import is_sealed, is_signed, seal, sign
from scripted.wire import Request

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "x"}


def chat(**fields: Any) -> str:
    refusal = chat_rules.refusal_of({"model": "gpt-4.1", "messages": HELLO, **fields})
    return refusal.message if refusal else ""


CHAT_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 5, "max_completion_tokens": 5}, "at the same time"),
    ({"model": "gpt-5", "max_tokens": 5}, "Use 'max_completion_tokens'"),
    ({"model": "o3", "temperature": 0.5}, "temperature"),
    ({"top_k": 4}, "Unknown parameter: 'top_k'"),
    ({"messages": [{"role": "user", "content": "hi", "cache_control": {}}]}, "'messages[0].cache_control'"),
    ({"messages": [{"role": "assistant", "content": "x", "reasoning_content": "y"}]}, "reasoning_content"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]}, "content[0]"),
    ({"messages": []}, "empty array"),
    ({"messages": [{"role": "user"}]}, "Missing required parameter: 'messages[0].content'"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
    ({"messages": [{"role": "user", "content": None}]}, "Invalid type for 'messages[0].content'"),
    ({"messages": [{"role": "user", "content": []}]}, "empty array"),
    ({"messages": [{"role": "assistant", "content": None}]}, "got null"),
    ({"messages": [*HELLO, CALLED]}, "did not have response messages: c1"),
    ({"messages": [*HELLO, CALLED, *HELLO, ANSWERED]}, "did not have response messages"),
    ({"messages": [*HELLO, ANSWERED]}, "must be a response to a preceeding message"),
    ({"messages": [*HELLO, CALLED, ANSWERED, ANSWERED]}, "must be a response to a preceeding message"),
    ({"messages": [*HELLO, {**CALLED, "tool_calls": [{**CALL, "id": "x" * 41}]}]}, "maximum length of 40"),
    (
        {
            "messages": [
                *HELLO,
                CALLED,
                {**ANSWERED, "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
            ]
        },
        "content[0]",
    ),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "AAAA"}}]}]}, "data URL"),
    ({"tools": []}, "empty array"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "does not match pattern"),
    ({"tools": [{"type": "function", "function": {"name": "x" * 65}}]}, "does not match pattern"),
    ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]}, 'type "object"'),
    ({"tools": [{"type": "function", "function": {"name": "f", "input_schema": {}}}]}, "input_schema"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "not found"),
    ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": "auto"}, "only allowed when 'tools'"),
    ({"parallel_tool_calls": True}, "only allowed when 'tools'"),
    ({"temperature": 2.1}, "temperature"),
    ({"stop": list("abcde")}, "maximum length 4"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"top_logprobs": 3}, "logprobs"),
    ({"metadata": {"a": "x" * 513}}, "too long"),
    ({"response_format": {"type": "json_schema"}}, "json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}}, "pattern"),
    ({"response_format": {"type": "json_object"}}, "json"),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "strict": True, "schema": {"type": "object", "properties": {}}},
            }
        },
        "additionalProperties",
    ),
]


@pytest.mark.parametrize(("fields", "words"), CHAT_REFUSED, ids=[w for _, w in CHAT_REFUSED])
def test_the_chat_service_refuses(fields: dict[str, Any], words: str) -> None:
    assert words in chat(**fields)


def test_the_chat_service_takes_what_is_right() -> None:
    assert not chat()
    assert not chat(messages=[*HELLO, CALLED, ANSWERED, {"role": "system", "content": "late"}], tools=[TOOL])
    assert not chat(temperature=2, stop=list("abcd"), max_completion_tokens=5, tools=[TOOL], tool_choice="required")
    assert not chat(stream=True, stream_options={"include_usage": True}, metadata={"a": "b"})
    assert not chat(model="gpt-5", reasoning_effort="max")
    assert "reasoning_effort" in chat(reasoning_effort="max")


def messages(beta: str = "", version: str = "2023-06-01", **fields: Any) -> str:
    headers = [("anthropic-version", version)] if version else []
    request = Request("POST", "/v1/messages", headers + ([("anthropic-beta", beta)] if beta else []), b"")
    body = {"model": "claude-sonnet-4-5", "max_tokens": 4000, "messages": HELLO, **fields}
    refusal = messages_rules.refusal_of(request, {k: v for k, v in body.items() if v is not ...})
    return refusal.message if refusal else ""


def blocks(*content: dict[str, Any], role: str = "user") -> list[dict[str, Any]]:
    before = HELLO if role == "assistant" else []
    return [*before, {"role": role, "content": list(content)}]


def thought(text: str, signature: str) -> list[dict[str, Any]]:
    block = {"type": "thinking", "thinking": text, "signature": signature}
    return [*HELLO, {"role": "assistant", "content": [block, USE]}, *GIVEN]


USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
GIVEN = [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}]
USED = {"role": "assistant", "content": [USE]}
MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
FUNCTION = {"name": "f", "input_schema": {"type": "object"}}
BUDGET = {"type": "enabled", "budget_tokens": 2000}
MESSAGES_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": ...}, "max_tokens: Field required"),
    ({"version": ""}, "anthropic-version"),
    ({"n": 2}, "n: Extra inputs are not permitted"),
    ({"messages": [{"role": "user", "content": "hi", "name": "x"}]}, "messages.0.name: Extra inputs"),
    ({"context_management": {"edits": []}}, "context_management: Extra inputs"),
    ({"beta": "other-2025-01-01", "context_management": {"edits": []}}, "context_management: Extra inputs"),
    ({"messages": []}, "at least one message"),
    ({"messages": [{"role": "assistant", "content": "hi"}]}, "first message"),
    ({"messages": [{"role": "tool", "content": "hi"}]}, "messages.0"),
    ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
    ({"messages": blocks({"type": "text", "text": ""})}, "must be non-empty"),
    ({"messages": blocks({"type": "text", "text": " \n"})}, "non-whitespace"),
    ({"messages": blocks({"type": "image_url", "image_url": {"url": "x"}})}, "messages.0.content.0"),
    ({"messages": [*HELLO, USED]}, "without `tool_result`"),
    ({"messages": [*HELLO, USED, *HELLO]}, "without `tool_result` blocks immediately after: t1"),
    ({"messages": [*HELLO, *GIVEN]}, "unexpected `tool_use_id`"),
    (
        {"messages": [*HELLO, USED, {"role": "user", "content": [MARKED, *GIVEN[0]["content"]]}]},
        "must come first",
    ),
    ({"messages": blocks({**USE, "input": "{}"}, role="assistant")}, "input"),
    ({"messages": thought("a", "bm90IG1pbmU=")}, "Invalid `signature`"),
    ({"messages": thought("b", sign("a"))}, "Invalid `signature`"),
    ({"messages": blocks({"type": "redacted_thinking", "data": "eA=="}, role="assistant")}, "redacted_thinking"),
    ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, "must be greater than `thinking.budget_tokens`"),
    ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "1024"),
    ({"thinking": BUDGET, "temperature": 0.5}, "only be set to 1"),
    ({"thinking": BUDGET, "tools": [FUNCTION], "tool_choice": {"type": "any"}}, "forces tool use"),
    ({"thinking": BUDGET, "messages": [*HELLO, USED, *GIVEN]}, "must start with a thinking block"),
    ({"temperature": 1.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema"),
    ({"tools": [{"name": "f g", "input_schema": {"type": "object"}}]}, "pattern"),
    ({"tools": [FUNCTION, FUNCTION]}, "unique"),
    ({"tools": [{"name": "f", "input_schema": {"type": "object", "anyOf": []}}]}, "top level"),
    ({"tool_choice": {"type": "auto"}}, "while providing tools"),
    ({"tools": [FUNCTION], "tool_choice": {"type": "tool", "name": "g"}}, "not found"),
    ({"system": [MARKED] * 3, "messages": blocks(MARKED, MARKED)}, "maximum of 4"),
    ({"stop_sequences": [" "]}, "non-whitespace"),
    ({"metadata": {"user_id": "u", "more": 1}}, "metadata.more"),
    ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "additionalProperties"),
    ({"messages": blocks({"type": "image", "source": {"type": "url", "url": "http://a/b.png"}})}, "HTTPS"),
]


@pytest.mark.parametrize(("fields", "words"), MESSAGES_REFUSED, ids=[w for _, w in MESSAGES_REFUSED])
def test_the_messages_service_refuses(fields: dict[str, Any], words: str) -> None:
    assert words in messages(**fields)


def test_the_messages_service_takes_what_is_right() -> None:
    assert not messages()
    assert not messages(messages=[*HELLO, USED, *GIVEN], tools=[FUNCTION], temperature=1)
    assert not messages(messages=thought("a", sign("a")), thinking=BUDGET, tools=[FUNCTION])
    assert not messages(messages=[*HELLO, *HELLO, {"role": "system", "content": "late"}])
    beta = "context-management-2025-06-27"
    assert not messages(beta=beta, context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]})
    assert not messages(system=[MARKED] * 2, messages=blocks(MARKED, MARKED))


FULL = Asked(
    turns=(
        user("look", Image("image/png", "AAAA"), Image(url="https://e.com/a.png"), Document("BBBB", name="a.pdf")),
        assistant("Looking.", Call("f", {"b": 1, "a": [None, "é"]}, "c1"), Call("g", {}, "c2")),
        user(Result("c1", (Text("one"),)), Result("c2", (Text("two"),)), "and?"),
        assistant("So."),
        user("done"),
    ),
    system=("be terse", "rhyme"),
    tools=(Tool("f", "does f", {"type": "object", "properties": {"z": {}, "a": {}}}, strict=True), Tool("g")),
    choice="tool:f",
    parallel=False,
    max_tokens=77,
    temperature=0.5,
    top_p=0.5,
    stops=("A", "B"),
    effort="high",
    schema={"type": "object", "properties": {}, "additionalProperties": False},
    user="u1",
)


def test_what_is_written_for_chat_is_read_again() -> None:
    assert read_chat(write_chat(FULL, "gpt-4.1")) == FULL


def test_what_is_written_for_messages_is_read_again() -> None:
    assert read_messages(write_messages(FULL, "claude-x")) == FULL


def test_pieces_are_the_text() -> None:
    for text in ("", "a", "abcdefg", "é👩‍👧" * 7):
        for count in (1, 2, 3, 50):
            cut = pieces(text, count)
            assert "".join(cut) == text and "" not in cut and len(cut) <= max(1, count)


def test_a_directive_is_found_wherever_it_stands() -> None:
    assert find_directive("say [[script @a-1]] and [[script @b.2]] now") == "@b.2"
    found = find_directive('x [[script {"say": "a", "tools": [{"name": "f", "args": {"k": [1]}}], "think": "t"}]] y')
    assert found is not None
    assert answer_of_json(found).parts == (Thinking("t"), Text("a"), Call("f", {"k": [1]}))
    assert find_directive("nothing [[here]]") is None


def test_a_misspelt_script_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown Usage fields"):
        answer_of_json('{"usage": {"inptu": 1}}')


def test_signatures_hold_only_for_their_own_text() -> None:
    assert is_signed("a", sign("a")) and not is_signed("b", sign("a")) and not is_signed("a", "")
    assert is_sealed(seal("x")) and not is_sealed("x") and not is_sealed(seal("x")[:-4])
