"""anyllm_fast/dialects/openai_chat_custom.py: free-form tools of Chat, to functions and back, streamed and whole."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast.dialects.openai_chat_reply import read_reply, write_reply
from anyllm_fast.dialects.openai_chat_request import read_request, write_request
from anyllm_fast.dialects.repair import HELD_MAX
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.members import string_of
from anyllm_fast.neutral.reply import CallPart, Reply
from anyllm_fast.neutral.request import CustomTool, Request, Text, ToolCall, ToolChoice, ToolForm, ToolResult, Turn
from tests.damage import examples
from tests.requests import asked, function
from tests.streams import (
    DONE,
    MAX_FRAME,
    OPTIONS,
    TWINS,
    blocks,
    chunk,
    cut,
    decoder,
    deltas,
    each_twin,
    encoder,
    load,
    piped,
    record,
    run,
    translate,
)

STOP = chunk(finish_reason="tool_calls") + DONE
FORMS = {b"patch": ToolForm("custom", b"patch"), b"in": ToolForm("namespaced", b"in", b"n")}
FREE = msgspec.structs.replace(OPTIONS, forms=FORMS)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def custom(index: int, text: str, **more: Any) -> dict[str, Any]:
    """An entry of tool_calls: the first one of a call has its id and name."""
    head = {"id": more["id"], "type": "custom"} if "id" in more else {}
    named = {"name": more["name"]} if "name" in more else {}
    return {"index": index, **head, "custom": {**named, "input": text}}


def calls(*entries: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(entries)})


def joined(out: bytes) -> dict[int, dict[str, Any]]:
    """The calls in chunks, put together as the SDK does: texts are appended, all else is as it came first."""
    found: dict[int, dict[str, Any]] = {}
    for entry in (entry for delta in deltas(out) for entry in delta.get("tool_calls", ())):
        known = found.setdefault(entry["index"], {"text": ""})
        inside = entry.get("custom") or entry.get("function") or {}
        known["text"] += inside.get("input", "") + inside.get("arguments", "")
        known.update({name: entry[name] for name in ("id", "type") if name in entry})
        known.update({name: inside[name] for name in ("name",) if name in inside})
    return found


# -- requests ----------------------------------------------------------------------------------------------------------


def test_a_free_form_tool_has_its_form() -> None:
    tools = [{"type": "custom", "custom": {"name": 'p"'}}, function("f")]
    request = read_request(json.dumps(asked(tools=tools)).encode(), Losses())
    assert request.forms == {b'p\\"': ToolForm("custom", b'p\\"')}
    assert read_request(json.dumps(asked(tools=[function("f")])).encode(), Losses()).forms == {}


def elsewhere(profile: Profile) -> dict[str, Any]:
    """A request of another dialect with a free-form tool, a call of it and the choice of it, as Chat is sent it."""
    name, text = string_of("patch"), string_of('a "b"')
    turns = [
        Turn(role="user", parts=[Text(text=string_of("x"))], plain=True),
        Turn(role="assistant", parts=[ToolCall(ident=string_of("c"), name=name, args=text, custom=True)]),
        Turn(role="user", parts=[ToolResult(ident=string_of("c"), parts=[Text(text=string_of("done"))], plain=True)]),
    ]
    request = Request(model="m", source="elsewhere", turns=turns, tools=[CustomTool(name=name, description=string_of("d"))])
    request.tool_choice = ToolChoice(mode="allowed", names=["patch", "f"], required=True)
    sent: dict[str, Any] = json.loads(write_request(request, "m", profile, Losses()))
    request.tool_choice = ToolChoice(mode="tool", name=name, custom=True)
    sent["chosen"] = json.loads(write_request(request, "m", profile, Losses()))["tool_choice"]
    return sent


def test_a_host_that_has_free_form_tools_gets_them_as_they_are() -> None:
    sent = elsewhere(Profile(custom_tools=True))
    assert sent["tools"] == [{"type": "custom", "custom": {"name": "patch", "description": "d"}}]
    spoken = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": 'a "b"'}}
    assert sent["messages"][1]["tool_calls"] == [spoken]
    assert sent["chosen"] == {"type": "custom", "custom": {"name": "patch"}}
    both = [{"type": "custom", "custom": {"name": "patch"}}, {"type": "function", "function": {"name": "f"}}]
    assert sent["tool_choice"] == {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": both}}


def test_a_host_without_free_form_tools_gets_functions() -> None:
    sent = elsewhere(Profile())
    (tool,) = sent["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "patch")
    assert tool["function"]["parameters"]["required"] == ["input"]
    spoken = {"name": "patch", "arguments": '{"input":"a \\"b\\""}'}
    assert sent["messages"][1]["tool_calls"] == [{"id": "c", "type": "function", "function": spoken}]
    assert sent["chosen"] == {"type": "function", "function": {"name": "patch"}}


# -- streams -----------------------------------------------------------------------------------------------------------


@each_twin
def test_the_text_of_a_free_form_call_is_the_input_of_a_function(twin: Any) -> None:
    body = calls(custom(0, "", id="c0", name="patch")) + b"".join(calls(custom(0, text)) for text in ('a "q"', "\\", "\n", "é😀"))
    found = translate(twin, body + STOP, "openai_chat")
    assert blocks(found.out) == [{"type": "tool_use", "id": "c0", "name": "patch", "input": {"input": 'a "q"\\\né😀'}}]
    assert (found.stop_reason, found.failure) == ("tool_use", None)


@each_twin
def test_free_form_calls_and_functions_stay_apart(twin: Any) -> None:
    plain = {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    body = calls(custom(0, "x", id="c0", name="patch"), plain, custom(2, "y", id="c2", name="patch"))
    body += calls(custom(0, "1"), custom(2, "2")) + chunk({"content": "said"})
    found = translate(twin, body + STOP, "openai_chat")
    assert [(block.get("id"), block.get("input", block.get("text"))) for block in blocks(found.out)] == [
        ("c0", {"input": "x1"}),
        ("c1", {"a": 1}),
        ("c2", {"input": "y2"}),
        (None, "said"),
    ]


@each_twin
def test_a_free_form_call_without_text_id_or_object_is_a_call(twin: Any) -> None:
    body = calls({"index": 0, "id": "c0", "type": "custom"}) + calls({"index": 0, "custom": {"name": "patch"}})
    body += calls({"index": 1, "type": "custom", "custom": {"name": "patch", "input": "x"}})
    found = translate(twin, body + STOP, "openai_chat")
    assert [block["input"] for block in blocks(found.out)] == [{"input": ""}, {"input": "x"}]


@each_twin
def test_a_stream_that_is_cut_closes_no_text(twin: Any) -> None:
    found = run(piped(twin, "openai_chat", "anthropic"), [calls(custom(0, "half", id="c0", name="patch"))])
    assert found.failure is not None and b"half" in found.out and b'\\"}' not in found.out


@each_twin
def test_a_client_with_the_tool_as_a_free_form_one_gets_its_text_when_it_is_complete(twin: Any) -> None:
    made = encoder(twin, "openai_chat", FREE)
    made.tool(0, b"c0", b"patch")
    made.args(0, rb"{ \"input\"")
    made.args(0, rb": \"a \\\"q\\\" \\n")
    assert joined(made.take())[0]["text"] == ""
    made.args(0, rb"\"}")
    assert joined(made.take())[0]["text"] == 'a "q" \n'
    made.args(0, b" ")
    assert made.take() == b""
    made.end()
    assert b'"finish_reason":"tool_calls"' in made.take()


@each_twin
def test_only_free_form_tools_are_written_as_such(twin: Any) -> None:
    made = encoder(twin, "openai_chat", FREE)
    for key, name in enumerate([b"patch", b"in", b"other"]):
        made.tool(key, b"c%d" % key, name)
        made.args(key, rb"{\"input\":\"t\"}")
    made.end()
    found = joined(made.take())
    assert [(call["type"], call["text"]) for call in found.values()] == [
        ("custom", "t"),
        ("function", '{"input":"t"}'),
        ("function", '{"input":"t"}'),
    ]


@each_twin
@pytest.mark.parametrize(
    ("args", "text"), [(rb"{\"input\":\"cut", '{"input":"cut'), (b"", ""), (rb"{\"x\":1}", '{"x":1}'), (b"free", "free")]
)
def test_arguments_that_are_no_text_go_out_as_the_text(twin: Any, args: bytes, text: str) -> None:
    made = encoder(twin, "openai_chat", FREE)
    made.tool(0, b"c0", b"patch")
    made.args(0, args)
    made.end()
    assert joined(made.take()) == {0: {"id": "c0", "type": "custom", "name": "patch", "text": text}}


@each_twin
def test_a_renamed_free_form_tool_is_known_by_the_clients_name(twin: Any) -> None:
    made = encoder(twin, "openai_chat", msgspec.structs.replace(FREE, names={b"p_1": b"patch"}))
    made.tool(0, b"c0", b"p_1")
    made.args(0, rb"{\"input\":\"t\"}")
    made.end()
    assert joined(made.take())[0] == {"id": "c0", "type": "custom", "name": "patch", "text": "t"}


@each_twin
def test_more_text_than_the_bound_is_not_held(twin: Any) -> None:
    made = encoder(twin, "openai_chat", FREE)
    made.tool(0, b"c0", b"patch")
    for _ in range(5):
        made.args(0, b"x" * (HELD_MAX // 4))
    assert made.failure is not None and made.ended


@settings(max_examples=examples(100, 30), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), TEXT), max_size=12), st.integers(0, 2**32))
def test_texts_come_out_of_a_stream_as_they_went_in_however_it_is_cut(pieces: list[tuple[int, str]], seed: int) -> None:
    body = calls(*(custom(index, "", id=f"c{index}", name="patch") for index in range(3)))
    body += b"".join(calls(custom(index, text)) for index, text in pieces) + STOP
    wanted = ["".join(text for at, text in pieces if at == index) for index in range(3)]
    outs = []
    for twin in TWINS:
        found = run(piped(twin, "openai_chat", "anthropic"), cut(body, random.Random(seed)))
        assert [block["input"] for block in blocks(found.out)] == [{"input": text} for text in wanted]
        made, read = encoder(twin, "openai_chat", FREE), decoder(twin, "openai_chat")
        for event, data in twin.Frames(MAX_FRAME).feed(body):
            read.frame(event, data, made)
        out = made.take()
        assert [call["text"] for call in joined(out).values()] == wanted
        outs.append((found, out))
    assert all(one == outs[0] for one in outs)


# -- logprobs ----------------------------------------------------------------------------------------------------------

TOKEN = {"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}


@each_twin
def test_probabilities_follow_their_text(twin: Any) -> None:
    body = chunk({"content": "x"}, logprobs={"content": [TOKEN], "refusal": None}) + chunk({"content": "y"}, logprobs=None)
    body += chunk({"refusal": "no"}, logprobs={"content": None, "refusal": [TOKEN]}) + chunk({}, logprobs={"content": []}) + STOP
    found = translate(twin, body, "openai_chat")
    assert found.losses == ("logprobs", "logprobs.refusal")
    text, _, refused = record(twin, body, "openai_chat").parts
    assert [json.loads(raw) for raw in text.logprobs] == [[TOKEN]]  # type: ignore[union-attr]  # a text
    assert json.loads(refused.raw) == [TOKEN]  # type: ignore[union-attr]  # a private part
    read, made = decoder(twin, "openai_chat"), encoder(twin, "openai_chat")
    for event, data in twin.Frames(MAX_FRAME).feed(body):
        read.frame(event, data, made)
    out = made.take()
    choices = [json.loads(line[6:])["choices"][0] for line in out.split(b"\n\n") if b'"logprobs":{' in line]
    assert [choice["logprobs"] for choice in choices] == [
        {"content": [TOKEN], "refusal": None},
        {"content": None, "refusal": [TOKEN]},
    ]


def test_probabilities_of_a_whole_reply_come_home() -> None:
    logprobs = {"content": [TOKEN, TOKEN], "refusal": [TOKEN]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "xx"}, "finish_reason": "stop", "logprobs": logprobs}
    reply = read_reply(json.dumps({"id": "c", "choices": [choice]}).encode(), Losses())
    assert json.loads(write_reply(reply, OPTIONS, Losses()))["choices"][0]["logprobs"] == logprobs


# -- whole replies -----------------------------------------------------------------------------------------------------


def test_a_whole_reply_has_the_call_in_its_form() -> None:
    args = rb"{\"input\":\"a \\\"q\\\"\"}"
    reply = Reply(parts=[CallPart(b"c0", b"patch", args), CallPart(b"c1", b"other", args)], stop_reason="tool_use")
    first, second = json.loads(write_reply(reply, FREE, Losses()))["choices"][0]["message"]["tool_calls"]
    assert first == {"id": "c0", "type": "custom", "custom": {"name": "patch", "input": 'a "q"'}}
    assert second["function"] == {"name": "other", "arguments": '{"input":"a \\"q\\""}'}
    choice = {"index": 0, "message": {"tool_calls": [first, second]}, "finish_reason": "tool_calls"}
    again = read_reply(json.dumps({"id": "c", "choices": [choice]}).encode(), Losses())
    assert again.parts == reply.parts


def test_a_stream_of_a_client_that_has_no_free_form_tools_is_as_it_was() -> None:
    for twin in TWINS:
        assert run(piped(twin, "anthropic", "openai_chat", FREE), [load("anthropic_thinking_tools")]) == run(
            piped(twin, "anthropic", "openai_chat"), [load("anthropic_thinking_tools")]
        )
