"""Cells about tools: definitions, choice, single and parallel calls, their results, and the loop over two turns."""

from __future__ import annotations

import json

from scripted.answer import Answer, Call, Image, Result, Text, says
from scripted.asked import Asked, Tool, assistant, read_chat, user

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress
from .cells_text import ODD, PNG
from .lanes import Lane

WEATHER = Tool(
    "get_weather",
    "Weather of a place — “now”",
    {
        "type": "object",
        "properties": {
            "zone": {"type": "string", "enum": ["EU", "US"]},
            "city": {"type": "string", "description": "name, e.g. 北京"},
            "days": {"type": "integer", "minimum": 1},
        },
        "required": ["city"],
    },
)
TIME = Tool("get-time_2", "", {"type": "object", "properties": {}})
STRICT = Tool(
    "strict_one",
    "closed",
    {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"], "additionalProperties": False},
    strict=True,
)
ASK = Asked((user("weather?"),), tools=(WEATHER, TIME))
PARIS = Call("get_weather", {"zone": "EU", "city": "Paris", "days": 2})
OSLO = Call("get_weather", {"city": "Oslo", "note": ODD})
NOW = Call("get-time_2", {})


@cell(modes=("whole", "stream", "async"))
def one_call(lane: Lane) -> None:
    lane.send(ASK, Answer((PARIS,))).same().arrived()


@cell()
def text_before_a_call(lane: Lane) -> None:
    lane.send(ASK, says("Let me look.", PARIS)).same()


@cell()
def a_call_without_arguments(lane: Lane) -> None:
    lane.send(ASK, Answer((NOW,))).same()


@cell()
def arguments_with_odd_characters(lane: Lane) -> None:
    for tcp, escaped in ((0, False), (1, True)):
        lane.send(ASK, Answer((OSLO,)).styled(pieces=40, tcp=tcp, ascii=escaped)).same()


@cell()
def large_arguments(lane: Lane) -> None:
    call = Call("get_weather", {"city": "x" * 200_000, "list": list(range(2000)), "deep": {"a": {"b": [1.5, None, True]}}})
    lane.send(ASK, Answer((call,)).styled(pieces=100)).same()


@cell()
def numbers_keep_their_digits(lane: Lane) -> None:
    """Ids of 19 digits and 1.0 are not what a float makes of them."""
    got = lane.send(ASK, Answer((Call("get_weather", {"id": 9007199254740993, "city": "Bonn"}),)))
    got.same()


@cell()
def parallel_calls(lane: Lane) -> None:
    got = lane.send(ASK, says("Both.", PARIS, NOW, OSLO)).same()
    assert len(set(got.call_ids())) == 3


@cell(where=both(gateway_only, egress("openai")))
def parallel_calls_in_turns(lane: Lane) -> None:
    """Arguments of several calls arrive interleaved; each client gets each call whole."""
    got = lane.send(ASK, says("Both.", PARIS, OSLO, NOW).styled(interleave=True, pieces=6)).same()
    assert len(set(got.call_ids())) == 3


@cells_for({"auto": "auto", "any": "any", "none": "none", "one tool": "tool:get_weather"})
def choice(lane: Lane, choice: str) -> None:
    lane.send(Asked((user("go"),), tools=(WEATHER, TIME), choice=choice), says("ok")).same().arrived()


@cells_for({"off": False, "on": True})
def parallel_flag(lane: Lane, allowed: bool) -> None:
    asked = Asked((user("go"),), tools=(WEATHER,), choice="auto", parallel=allowed)
    got = lane.send(asked, says("ok")).same()
    assert got.heard.parallel in ((False,) if not allowed else (True, None)), got.record.body


@cell()
def a_strict_tool(lane: Lane) -> None:
    got = lane.send(Asked((user("go"),), tools=(STRICT,)), Answer((Call("strict_one", {"x": 1.5}),))).same().arrived()
    assert got.heard.tools[0].strict


@cell(where=ingress("anthropic"))
def no_tools_at_all(lane: Lane) -> None:
    """Claude Code sends an empty list; the Chat service refuses one."""
    body = {"max_tokens": 50, "tools": [], "messages": [{"role": "user", "content": "hi {script}"}]}
    lane.send_body(body, says("ok")).same()


@cell(modes=("whole", "stream", "async"))
def the_loop(lane: Lane) -> None:
    got = lane.send(ASK, says("Looking.", PARIS), says("It is sunny."))
    got.same()
    done = got.then(*got.results("sunny, 21 °C"))
    done.same().arrived()


@cell()
def the_loop_with_parallel_calls(lane: Lane) -> None:
    got = lane.send(ASK, Answer((PARIS, OSLO, NOW)), says("Compared."))
    got.then(*got.results("sunny", "snow", "noon")).same().arrived()


@cell()
def results_in_another_order(lane: Lane) -> None:
    """Claude Code sends results as the tools finish."""
    got = lane.send(ASK, Answer((PARIS, OSLO, NOW)), says("Compared."))
    first, second, third = got.results("sunny", "snow", "noon")
    done = got.then(third, first, second).same()
    heard = [p for t in done.heard.turns for p in t.parts if isinstance(p, Result)]
    ids = [p.id for t in done.heard.turns for p in t.parts if isinstance(p, Call)]
    said = {r.id: r.parts[0].text for r in heard if isinstance(r.parts[0], Text)}
    assert [said[i] for i in ids] == ["sunny", "snow", "noon"]


@cell()
def words_after_the_results(lane: Lane) -> None:
    got = lane.send(ASK, Answer((PARIS,)), says("Fine."))
    got.then(*got.results("sunny"), "And in Celsius?").same().arrived()


@cell()
def three_rounds(lane: Lane) -> None:
    got = lane.send(ASK, Answer((PARIS,)), says("Hm.", OSLO), Answer((NOW,)), says("Done."))
    for text in ("sunny", "snow", "noon"):
        got = got.then(*got.results(text)).same()
    assert got.meaning.text == "Done."


@cell()
def an_empty_result(lane: Lane) -> None:
    got = lane.send(ASK, Answer((NOW,)), says("Nothing came."))
    done = got.then(Result(got.call_ids()[0], (Text(""),) if lane.way.ingress == "openai" else ()))
    done.same()


@cell(where=ingress("anthropic"))
def a_result_that_is_an_error(lane: Lane) -> None:
    got = lane.send(ASK, Answer((PARIS,)), says("It failed."))
    done = got.then(Result(got.call_ids()[0], (Text("no such city"),), failed=True)).same()
    result = next(p for t in done.heard.turns for p in t.parts if isinstance(p, Result))
    text = "".join(p.text for p in result.parts if isinstance(p, Text))
    assert "no such city" in text
    assert result.failed or (lane.way.crosses and ("error" in text.lower() or "is_error" in done.losses)), done.heard


@cell(where=ingress("anthropic"))
def a_result_with_a_picture(lane: Lane) -> None:
    """A Chat tool message cannot hold one: it comes in the user message after the results."""
    image = Image("image/png", PNG)
    for parts in ((image,), (Text("the screen"), image)):
        got = lane.send(ASK, Answer((PARIS, NOW)), says("I see."))
        ids = got.call_ids()
        done = got.then(Result(ids[0], parts), Result(ids[1], (Text("noon"),))).same()
        flat = [q for t in done.heard.turns for p in t.parts for q in (p.parts if isinstance(p, Result) else (p,))]
        assert flat.count(image) == 1, done.record.body


@cell()
def history_that_another_model_made(lane: Lane) -> None:
    """Ids of the other vendor, and text beside the call."""
    call = Call("get_weather", {"city": "Paris"}, "call_abc123" if lane.way.ingress == "openai" else "toolu_01AbC")
    turns = (
        user("weather?"),
        assistant("Looking.", call),
        user(Result(call.id, (Text("sunny"),))),
        assistant("Sunny."),
        user("and now?"),
    )
    lane.send(Asked(turns, tools=(WEATHER,)), says("Still sunny.")).same().arrived()


@cell(where=both(gateway_only, ingress("openai")))
def text_between_calls_and_their_results(lane: Lane) -> None:
    """Codex 0.80 sends assistant(tool_calls), assistant(text), tool; a Messages backend must not be told so."""
    if not lane.way.crosses:
        return
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages = [
        {"role": "user", "content": "weather? {script}"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "content": "I am looking."},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    got = lane.send_body({"messages": messages, "tools": tools, "max_completion_tokens": 50}, says("x"), says("ok"))
    assert got.meaning.text == "ok"
    assert b"I am looking." in got.record.request.body


@cell(where=both(crossing, ingress("openai")))
def a_tool_without_parameters(lane: Lane) -> None:
    tools = [{"type": "function", "function": {"name": "ping"}}]
    body = {"messages": [{"role": "user", "content": "go {script}"}], "tools": tools, "max_completion_tokens": 50}
    lane.send_body(body, Answer((Call("ping", {}),))).same()


@cell(where=both(crossing, ingress("openai")))
def a_schema_with_a_choice_at_its_top(lane: Lane) -> None:
    """Messages takes no oneOf at the top; a 400 that names it, or a schema that it takes."""
    schema = {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": {}, "b": {}}}
    got = lane.send(Asked((user("go"),), tools=(Tool("either", "", schema),)), says("ok"))
    if "error" in got.verdict:
        got.failed("BadRequestError", status=400, says="oneOf")


@cell(where=both(crossing, ingress("anthropic")))
def placeholders_and_references_of_claude_code(lane: Lane) -> None:
    """Deferred tools are dropped until a tool_reference names them; the reference becomes words."""
    plain = {"name": "ToolSearch", "description": "finds tools", "input_schema": {"type": "object", "properties": {}}}
    deferred = {"name": "WebSearch", "description": "w", "input_schema": {"type": "object"}, "defer_loading": True}
    messages = [
        {"role": "user", "content": "search {script}"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {}}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "tool_reference", "tool_name": "WebSearch"}],
                },
                {"type": "text", "text": "Tool loaded."},
            ],
        },
    ]
    body = {"max_tokens": 50, "tools": [plain, deferred], "messages": messages}
    headers = {"anthropic-beta": "advanced-tool-use-2025-11-20"}
    got = lane.send_body(body, says("x"), says("ok"), headers=headers)
    assert got.meaning.text == "ok"
    heard = read_chat(got.record.body)
    assert "WebSearch" in [t.name for t in heard.tools]
    assert "WebSearch" in json.dumps(got.record.body["messages"])


@cell(where=both(gateway_only, egress("openai"), ingress("anthropic")))
def arguments_that_are_no_json(lane: Lane) -> None:
    """A model that breaks off inside its arguments must not become a call with other arguments."""
    got = lane.send(ASK, Answer((Call("get_weather", '{"city": "Par'),), stop="length"))
    if "error" in got.verdict:
        return
    assert got.meaning.stop == "max_tokens"
    assert all(args in ('{"city": "Par"}', "{}") or "city" in args for _, args in got.meaning.calls)
