"""Cells about conversations that one vendor takes and the other refuses: names, ids, order and emptiness of the past."""

from __future__ import annotations

from typing import Any

from scripted.answer import Answer, Call, Result, Text, says
from scripted.asked import Asked, Tool, assistant, read_chat, user

from .cells import both, cell, cells_for, crossing, gateway_only, ingress
from .cells_text import PNG
from .lanes import Lane

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
LONG = "mcp__a_server_with_a_rather_long_name__and_a_tool_that_has_a_longer_one_still"


def chat_call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def chat(*messages: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [*messages, {"role": "user", "content": "go {script}"}], "tools": TOOLS, "max_completion_tokens": 50}


HELLO = {"role": "user", "content": "hello"}
CHAT_PASTS: dict[str, dict[str, Any]] = {
    "empty text beside a call": chat(
        HELLO,
        {"role": "assistant", "content": "", "tool_calls": [chat_call("c1")]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ),
    "an empty answer": chat(HELLO, {"role": "assistant", "content": ""}),
    "an answer of spaces": chat(HELLO, {"role": "assistant", "content": " \n"}),
    "an empty question": chat({"role": "user", "content": ""}, {"role": "assistant", "content": "hm?"}),
    "an empty system": chat({"role": "system", "content": ""}, HELLO),
    "the assistant first": chat({"role": "assistant", "content": "How can I help?"}),
    "system and assistant first": chat(
        {"role": "system", "content": "be terse"}, {"role": "assistant", "content": "How can I help?"}
    ),
    "the same speaker twice": chat(HELLO, HELLO, {"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}),
    "a result in parts": chat(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [chat_call("c1")]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]},
    ),
    "an empty result": chat(
        HELLO,
        {"role": "assistant", "tool_calls": [chat_call("c1")]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ),
    "an id with dots": chat(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [chat_call("functions.f:0"), chat_call("functions.f:1")]},
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
        {"role": "tool", "tool_call_id": "functions.f:1", "content": "y"},
    ),
    "the same id in two turns": chat(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [chat_call("call_0")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [chat_call("call_0")]},
        {"role": "tool", "tool_call_id": "call_0", "content": "y"},
    ),
    "empty arguments": chat(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [chat_call("c1", arguments="")]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ),
    "system between a call and its result": chat(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [chat_call("c1")]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
        {"role": "system", "content": "now be terse"},
    ),
    "tools of the past are gone": {
        k: v
        for k, v in chat(
            HELLO,
            {"role": "assistant", "content": None, "tool_calls": [chat_call("c1")]},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
            {"role": "assistant", "content": "done"},
        ).items()
        if k != "tools"
    },
    "a picture named jpg": chat(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{PNG}"}},
            ],
        }
    ),
    "call and result and words": chat(
        HELLO,
        {"role": "assistant", "content": "calling", "tool_calls": [chat_call("c1"), chat_call("c2")]},
        {"role": "tool", "tool_call_id": "c2", "content": "second"},
        {"role": "tool", "tool_call_id": "c1", "content": "first"},
        {"role": "user", "content": "thanks"},
    ),
}


@cells_for(CHAT_PASTS, where=both(crossing, ingress("openai")))
def a_past_that_chat_takes(lane: Lane, body: dict[str, Any]) -> None:
    got = lane.send_body(body, says("ok"), says("ok"), says("ok"))
    assert got.records and got.records[-1].refusal is None, got.records[-1].refusal if got.records else got.verdict
    assert got.meaning.text == "ok"


def turns(*messages: dict[str, Any]) -> dict[str, Any]:
    tool = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    last = {"role": "user", "content": "go {script}"}
    return {"messages": [*messages, last], "tools": [tool], "max_tokens": 50}


def use(call_id: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}


def gave(call_id: str, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, **({"content": content} if content is not None else {}), **more}


MESSAGES_PASTS: dict[str, dict[str, Any]] = {
    "a long id": turns(
        HELLO,
        {"role": "assistant", "content": [use("toolu_" + "x" * 60)]},
        {"role": "user", "content": [gave("toolu_" + "x" * 60)]},
    ),
    "results in messages of their own": turns(
        HELLO,
        {"role": "assistant", "content": [use("a"), use("b")]},
        {"role": "user", "content": [gave("a")]},
        {"role": "user", "content": [gave("b")]},
    ),
    "a result without content": turns(
        HELLO, {"role": "assistant", "content": [use("a")]}, {"role": "user", "content": [gave("a", None)]}
    ),
    "a result of no blocks": turns(
        HELLO, {"role": "assistant", "content": [use("a")]}, {"role": "user", "content": [gave("a", [])]}
    ),
    "only calls": turns(HELLO, {"role": "assistant", "content": [use("a")]}, {"role": "user", "content": [gave("a")]}),
    "calls in two messages": turns(
        HELLO,
        {"role": "assistant", "content": [use("a")]},
        {"role": "assistant", "content": [use("b")]},
        {"role": "user", "content": [gave("a"), gave("b")]},
    ),
    "words after the results": turns(
        HELLO,
        {"role": "assistant", "content": [{"type": "text", "text": "t"}, use("a")]},
        {"role": "user", "content": [gave("a"), {"type": "text", "text": "and?"}]},
    ),
    "the same id in two turns": turns(
        HELLO,
        {"role": "assistant", "content": [use("a")]},
        {"role": "user", "content": [gave("a")]},
        {"role": "assistant", "content": [use("a")]},
        {"role": "user", "content": [gave("a")]},
    ),
    "system of blocks with nothing": {**turns(HELLO), "system": []},
    "only thinking": turns(
        HELLO, {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "eA=="}]}
    ),
}


@cells_for(MESSAGES_PASTS, where=both(crossing, ingress("anthropic")))
def a_past_that_messages_takes(lane: Lane, body: dict[str, Any]) -> None:
    got = lane.send_body(body, says("ok"), says("ok"), says("ok"))
    assert got.records and got.records[-1].refusal is None, got.records[-1].refusal if got.records else got.verdict
    assert got.meaning.text == "ok"


@cell(where=both(crossing, ingress("anthropic")))
def a_prefill_is_kept(lane: Lane) -> None:
    """Messages continues an assistant turn that stands last."""
    body = {
        "messages": [{"role": "user", "content": "say {script}"}, {"role": "assistant", "content": "The answer is"}],
        "max_tokens": 50,
    }
    got = lane.send_body(body, says("x"), says("42"))
    if "error" in got.verdict:
        got.failed("BadRequestError", status=400)
        return
    assert got.meaning.text == "42" and b"The answer is" in got.record.request.body


@cell(where=both(crossing, ingress("anthropic")))
def a_long_name_of_a_tool_comes_back(lane: Lane) -> None:
    """Messages takes 128 characters, Chat 64: Claude Code's MCP tools have such names."""
    tools = (Tool(LONG, "long", {"type": "object", "properties": {}}), Tool(LONG + "_2", "other"))
    asked = Asked((user("go"),), tools=tools, choice=f"tool:{LONG}_2")
    # The upstream can only call what it was offered: the script names the second tool as the gateway offered it.
    offered = lane.send(asked, says("ok")).heard.tools
    assert len({t.name for t in offered}) == 2 and all(len(t.name) <= 64 for t in offered)
    got = lane.send(asked, Answer((Call(offered[1].name, {"a": 1}),)), says("done"))
    assert got.meaning.calls[0][0] == LONG + "_2"
    done = got.then(*got.results("fine")).same()
    called = [p.name for t in read_chat(done.record.body).turns for p in t.parts if isinstance(p, Call)]
    assert called == [offered[1].name]


@cell(where=both(gateway_only))
def fifty_turns_with_tools(lane: Lane) -> None:
    """A long session stays valid and its beginning stays the same bytes: the provider's prompt cache lives on it."""
    tool = Tool("f", "does f", {"type": "object", "properties": {"n": {"type": "integer"}}})
    past: list[Any] = [user("begin")]
    for n in range(50):
        call = Call("f", {"n": n, "text": f"é {n}"}, f"call_{n}")
        past += [
            assistant(f"step {n}", call),
            user(Result(call.id, (Text(f"result {n}"),))),
        ]
    first = lane.send(Asked((*past, assistant("so"), user("one")), tools=(tool,)), says("ok")).same().arrived()
    again = (*past, assistant("so"), user("one"), assistant("ok"), user("two"))
    second = lane.send(Asked(again, tools=(tool,)), says("ok")).same().arrived()
    body, longer = (g.record.request.body.split(b"[[script")[0] for g in (first, second))
    # the first prompt's script stood in its last turn, so what precedes that turn must be a prefix of the longer one
    shared = body[: body.rindex(b"so")]
    assert longer.startswith(shared), "the beginning of the conversation changed"
