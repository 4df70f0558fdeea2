"""Tests of the scripted Responses service: it refuses what the real one refuses, and its streams are whole and numbered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted.answer import Answer, Call, Redacted, Text, Thinking, says
from scripted.asked import Asked, Tool, assistant, user
from scripted.responses import ResponsesUpstream
from scripted.responses_asked import read_responses, write_responses
from scripted.responses_rules import refusal_of
from scripted.responses_signing import encrypt, is_encrypted, secret_of
from scripted.responses_state import State
from scripted.upstream import Record
from scripted.wire import Request

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
FREE = {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "x"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypt("hm")}
SAID = {"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FUNCTION = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}


def refused(**fields: Any) -> str:
    body = {"model": "gpt-5", "input": HELLO, **fields}
    refusal = refusal_of({k: v for k, v in body.items() if v is not ...}, State())
    return refusal.message if refusal else ""


def with_items(*items: dict[str, Any]) -> dict[str, Any]:
    return {"input": [*HELLO, *items]}


def part(kind: str, **members: Any) -> dict[str, Any]:
    return with_items({"role": "user", "content": [{"type": kind, **members}]})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"top_k": 1}, "Unknown parameter: 'top_k'"),
    ({"messages": HELLO}, "Unknown parameter: 'messages'"),
    ({"max_output_tokens": 15}, "Expected a value >= 16"),
    ({"temperature": 0.5}, "'temperature' is not supported with this model"),
    ({"top_p": 0.5}, "'top_p' is not supported with this model"),
    ({"model": "gpt-4.1", "temperature": 2.5}, "above maximum value"),
    ({"model": "gpt-4.1", "reasoning": {"effort": "low"}}, "'reasoning.effort' is not supported"),
    ({"model": "gpt-4.1", "include": ["reasoning.encrypted_content"]}, "Encrypted content is not supported"),
    ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
    ({"background": True, "store": False}, "store"),
    ({"metadata": {"a": "x" * 513}}, "too long"),
    ({"previous_response_id": "resp_0"}, "Previous response with id 'resp_0' not found."),
    ({"input": ...}, 'One of "input"'),
    ({"text": {"format": {"type": "json_object"}}}, "must contain the word 'json'"),
    ({"text": {"format": {"type": "json_schema", "name": "a b", "schema": SCHEMA}}}, "pattern"),
    ({"text": {"format": {"type": "json_schema", "name": "a", "strict": True, "schema": {"type": "object"}}}}, "additionalProp"),
    ({"tools": [{**FUNCTION, "name": "a.b"}]}, "pattern"),
    ({"tools": [{**FUNCTION, "name": "x" * 65}]}, "maximum length 64"),
    ({"tools": [{**FUNCTION, "parameters": {"type": "object", "properties": {"a": {}}}}]}, "additionalProperties"),
    ({"tools": [{**FUNCTION, "parameters": {"type": "array"}, "strict": False}]}, 'type: "object"'),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0]"),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}}, "not found in 'tools'"),
    ({"tool_choice": "required"}, "must be specified with 'tools'"),
    (part("output_text", text="x", annotations=[]), "input[1]"),
    (part("text", text="x"), "input[1]"),
    (part("input_image", detail="auto", image_url="AAAA"), "data URL"),
    (part("input_file", file_data="data:application/pdf;base64,AAAA"), "filename"),
    (with_items({"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}), "input[1]"),
    (with_items({"role": "tool", "content": "x"}), "input[1]"),
    (with_items(CALL), "No tool output found for function call c1."),
    (with_items(OUTPUT), "No tool call found for function call output with call_id c1."),
    (with_items(OUTPUT, CALL), "No tool call found"),
    (with_items(FREE, {**OUTPUT, "call_id": "c2"}), "No tool call found for function call output"),
    (with_items({**CALL, "call_id": "x" * 65}), "maximum length 64"),
    (with_items({**CALL, "call_id": ""}), "empty string"),
    (with_items({**CALL, "id": "call_1"}, OUTPUT), "begins with 'fc'"),
    (with_items({**CALL, "id": "fc_a.b"}, OUTPUT), "additional characters"),
    (with_items({**CALL, "id": "fc_1"}, OUTPUT, {**CALL, "id": "fc_1"}, OUTPUT), "Duplicate item found with id fc_1"),
    (with_items(THOUGHT), "without its required following item"),
    (with_items(THOUGHT, *HELLO), "without its required following item"),
    (with_items({**THOUGHT, "encrypted_content": "gAAAAA=="}, SAID), "could not be verified"),
    (with_items({**THOUGHT, "encrypted_content": encrypt("a")[:-4] + "AAA="}, SAID), "could not be verified"),
    (with_items({"type": "reasoning", "id": "rs_1", "summary": []}, SAID), "Items are not persisted"),
    (with_items({"type": "item_reference", "id": "msg_1"}), "Item with id 'msg_1' not found."),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[w for _, w in REFUSED])
def test_the_responses_service_refuses(fields: dict[str, Any], words: str) -> None:
    assert words in refused(**fields)


def test_the_responses_service_takes_what_is_right() -> None:
    assert not refused() and not refused(input="hi", model="gpt-4.1", temperature=0.5, max_output_tokens=16)
    assert not refused(**with_items(CALL, OUTPUT, FREE, {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"}))
    assert not refused(**with_items(CALL, {"role": "developer", "content": "late"}, OUTPUT))
    assert not refused(**with_items(THOUGHT, SAID), include=["reasoning.encrypted_content"], store=False)
    assert not refused(tools=[FUNCTION], tool_choice="required", reasoning={"effort": "low", "summary": "auto"})
    assert not refused(reasoning={"effort": "none"}, temperature=0.5)


def test_what_is_encrypted_is_known_again() -> None:
    data = encrypt("söme")
    assert is_encrypted(data) and secret_of(data) == "söme" and data.startswith("gAAAA")
    assert not any(is_encrypted(data[:at] + ("B" if data[at] == "A" else "A") + data[at + 1 :]) for at in range(len(data) - 2))


def test_a_question_that_was_written_is_read() -> None:
    call = Call("f", {"z": 1, "a": "é"}, "c1")
    asked = Asked((user("hi"), assistant("looking", call)), ("be terse",), (Tool("f", "does", SCHEMA, True),), choice="tool:f")
    heard = read_responses(write_responses(asked, "gpt-5"))
    assert (heard.turns, heard.system, heard.tools, heard.choice) == (asked.turns, asked.system, asked.tools, asked.choice)


def asked_for(upstream: ResponsesUpstream, body: dict[str, Any]) -> Record:
    return Record(Request("POST", "/v1/responses", [], b""), {"model": "gpt-5", "input": "hi", **body})


@pytest.mark.parametrize("style", [{}, {"interleave": True}, {"pieces": 1}, {"pieces": 40}])
def test_a_stream_says_in_numbered_events_what_its_end_says(style: dict[str, Any]) -> None:
    upstream = ResponsesUpstream()
    parts = (Thinking("hm"), Redacted("r"), Text("one"), Call("f", {"a": 1}), Call("p", {"input": "free"}), Text("two"))
    tools = [{**FUNCTION}, {"type": "custom", "name": "p"}]
    body = {"stream": True, "tools": tools, "reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    frames = upstream.frames(asked_for(upstream, body), Answer(parts).styled(**style))
    rows = [*frames.head, *frames.body, *frames.tail, *frames.last]
    events = [json.loads(row.split(b"data: ")[1]) for row in rows]
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    final = events[-1]["response"]["output"]
    done = sorted((e for e in events if e["type"] == "response.output_item.done"), key=lambda e: e["output_index"])
    assert [e["item"] for e in done] == final
    kinds = ["reasoning", "reasoning", "message", "function_call", "custom_tool_call", "message"]
    assert [item["type"] for item in final] == kinds and final[4]["input"] == "free"


def test_its_own_answer_is_taken_back() -> None:
    upstream = ResponsesUpstream()
    answer = Answer((Thinking("hm"), Text("one"), Call("f", {"a": "1"})))
    record = asked_for(upstream, {"store": False, "include": ["reasoning.encrypted_content"], "tools": [FUNCTION]})
    output = json.loads(upstream.document(record, answer))["output"]
    items = [*HELLO, *output, {**OUTPUT, "call_id": output[-1]["call_id"]}]
    assert refusal_of({"model": "gpt-5", "input": items}, upstream.state) is None
    without = refusal_of({"model": "gpt-5", "input": [*HELLO, *items[2:]]}, upstream.state)
    assert without and "without its required 'reasoning' item" in without.message


def test_an_answer_goes_on_from_the_response_before_it() -> None:
    upstream = ResponsesUpstream()
    directive = upstream.script("s", [says("one"), says("two")])
    first = asked_for(upstream, {"input": f"hi {directive}"})
    reply = json.loads(upstream.document(first, upstream.due(first)))
    second = asked_for(upstream, {"input": "more", "previous_response_id": reply["id"]})
    assert upstream.due(second).text == "two"
