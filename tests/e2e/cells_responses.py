"""Cells about what only OpenAI Responses has: state, background, compaction, tools of other kinds, encrypted reasoning."""

from __future__ import annotations

import time
from typing import Any

from scripted.answer import Answer, Call, Cite, Fail, Result, Text, Thinking, says
from scripted.responses_habits import DOCUMENTS, EVENTS
from scripted.responses_signing import secret_of

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress, same_dialect
from .cells_text import ODD
from .cells_thinking import wanting
from .cells_tools import ASK, NOW, OSLO, PARIS, TIME, WEATHER
from .lanes import Got, Lane

MINE = ingress("responses")
WORDS = "First I weigh it. " + ODD
PATCH = '*** Begin Patch\n*** Add File: ü.txt\n+\\n "x" 👋\n*** End Patch\n'
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "*** Begin Patch" /(.|\\n)+/'}


# -- reasoning --------------------------------------------------------------------------------------------------------


@cell(where=egress("responses"), wide=True)
def encrypted_reasoning_comes_back(lane: Lane) -> None:
    """Whatever the client speaks: the service gets its own reasoning back, byte for byte, before what it led to."""
    answers = (
        Answer((Thinking(WORDS), Text("Looking."), PARIS)),
        Answer((Thinking("two"), OSLO, NOW)),
        says("All known."),
    )
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    got = got.then(*got.results("sunny"))
    got = got.then(*got.results("snow", "noon")).same()
    sealed = [i["encrypted_content"] for i in got.record.body["input"] if i.get("type") == "reasoning"]
    assert [secret_of(s) for s in sealed] == [WORDS, "two"]


@cell(where=both(MINE, same_dialect), wide=True)
def altered_reasoning_is_refused(lane: Lane) -> None:
    got = lane.send(wanting(lane, tools=(WEATHER,)), Answer((Thinking("mine"), PARIS)), says("Sunny."))
    turn = got.replay()
    item = turn.parts[0].message["output"][0]  # type: ignore[union-attr]
    item["encrypted_content"] = item["encrypted_content"][:-6] + "AAAAA="
    done = got.then(*got.results("sunny"), turn=turn)
    done.failed("BadRequestError", status=400, says="could not be verified")


@cell(where=both(ingress("openai"), egress("responses")), wide=True)
def a_chat_client_asks_for_no_summary(lane: Lane) -> None:
    """Chat has no word for it, and some organizations may not ask: the effort is carried, no summary is asked for."""
    got = lane.send(wanting(lane), Answer((Thinking(WORDS), Text("Decided.")))).same(thinking="")
    assert got.record.body["reasoning"] == {"effort": "medium"}


# -- state ------------------------------------------------------------------------------------------------------------


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"input": text, **more}


@cell(where=MINE, wide=True)
def a_conversation_goes_on_by_its_id(lane: Lane) -> None:
    first = lane.send_body(asked("The word is xylophone. {script}"), says("Noted."), says("xylophone"))
    body = asked("Which word?", model=lane.model(), previous_response_id=first.final["id"])
    verdict = lane.judged(body, {})
    second = Got(lane, first.asked, says("xylophone"), first.script, verdict, body)
    assert second.meaning.text == "xylophone", second.verdict
    if lane.way.crosses:
        assert "The word is xylophone." in second.record.request.body.decode()
    assert second.final["previous_response_id"] == first.final["id"]


@cell(where=MINE, wide=True)
def a_call_is_answered_by_the_id_of_its_response(lane: Lane) -> None:
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}, "strict": False}
    first = lane.send_body(asked("weather? {script}", tools=[tool]), Answer((PARIS,)), says("Sunny."))
    output = {"type": "function_call_output", "call_id": first.call_ids()[0], "output": "sunny"}
    body = {"model": lane.model(), "input": [output], "tools": [tool], "previous_response_id": first.final["id"]}
    second = Got(lane, first.asked, says("Sunny."), first.script, lane.judged(body, {}), body)
    assert second.meaning.text == "Sunny.", second.verdict


@cell(where=MINE, wide=True)
def an_unknown_id_is_refused(lane: Lane) -> None:
    verdict = lane.judged(asked("hi", model=lane.model(), previous_response_id="resp_" + "0" * 32), {})
    error = verdict["error"]
    assert error["status"] in (400, 404) and "resp_000" in error["message"], error


@cell(modes=("kept",), where=MINE, wide=True)
def a_response_is_kept_and_deleted(lane: Lane) -> None:
    items = [{"role": "user", "content": t} for t in ("one", "two", "three {script}")]
    got = lane.send_body({"input": items, "store": True}, says("Kept."))
    assert got.meaning.text == "Kept." and got.verdict["found"]["output"] == got.final["output"]
    listed = [p["text"] for item in got.verdict["items"] for p in item["content"]]
    assert listed[:2] == ["one", "two"] and len(listed) == 3
    assert got.verdict["gone"]["status"] == 404, got.verdict["gone"]


@cell(modes=("whole",), where=both(MINE, gateway_only), wide=True)
def what_is_not_to_be_kept_is_not(lane: Lane) -> None:
    first = lane.send_body(asked("hi {script}", store=False), says("ok"))
    verdict = lane.judged(asked("again", model=lane.model(), previous_response_id=first.final["id"]), {})
    assert verdict["error"]["status"] in (400, 404), verdict


@cell(modes=("background",), where=MINE, wide=True)
def a_response_in_the_background_is_asked_for(lane: Lane) -> None:
    got = lane.send_body(asked("hi {script}"), says("Done at last.")).same()
    assert got.verdict["statuses"][0] in ("queued", "in_progress") and got.verdict["statuses"][-1] == "completed"


@cell(modes=("background",), where=MINE, wide=True)
def a_response_in_the_background_is_cancelled(lane: Lane) -> None:
    got = lane.send_body(asked("hi {script}"), says("never", fail=Fail("hang")), cancel=True)
    assert got.final["status"] == "cancelled", got.verdict
    if lane.way.crosses:
        end = time.monotonic() + 4
        while time.monotonic() < end and not (got.records and got.record.left):
            time.sleep(0.02)
        assert not got.records or got.record.left, "the upstream was waited for though nobody wants its answer"


@cell(modes=("compact",), where=MINE, wide=True)
def a_conversation_is_compacted(lane: Lane) -> None:
    """What comes back is taken as the beginning of the next request."""
    items = [{"role": "user", "content": "The word is xylophone."}, {"role": "assistant", "content": "Noted."}]
    got = lane.send_body({"input": [*items, {"role": "user", "content": "go on {script}"}]}, says("A summary."))
    output = got.final["output"]
    assert output[-1]["type"] == "compaction", output
    kept = [{k: v for k, v in item.items() if v is not None} for item in output]
    body = {"input": [*kept, {"role": "user", "content": "Which word? {script}"}]}
    assert lane.send_body(body, says("xylophone"), mode="whole").meaning.text == "xylophone"


@cell(modes=("count",), where=MINE, wide=True)
def input_is_counted(lane: Lane) -> None:
    small = lane.send_body(asked("hi {script}"), says("ok"))
    large = lane.send_body(asked("word " * 400 + "{script}"), says("ok"))
    assert 0 < small.final["input_tokens"] < large.final["input_tokens"] and large.final["input_tokens"] >= 300


# -- tools of other kinds ---------------------------------------------------------------------------------------------


@cells_for({"grammar": {"format": GRAMMAR}, "free text": {}}, where=MINE, wide=True)
def a_custom_tool(lane: Lane, more: dict[str, Any]) -> None:
    """Free text comes back as free text, whatever the upstream was offered in its place."""
    tools = [{"type": "custom", "name": "apply_patch", "description": "Edits files.", **more}]
    answer = Answer((Call("apply_patch", {"input": PATCH}),)).styled(pieces=9, tcp=3)
    got = lane.send_body(asked("edit {script}", tools=tools), answer, says("Edited.")).same()
    call = got.final["output"][-1]
    assert (call["type"], call["input"]) == ("custom_tool_call", PATCH)
    output = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "Done é"}
    items = [{"role": "user", "content": got.sent["input"]}, *got.replay().parts[0].message["output"], output]  # type: ignore[union-attr]
    body = {"model": lane.model(), "input": items, "tools": tools}
    done = Got(lane, got.asked, says("Edited."), got.script, lane.judged(body, {}), body).same()
    parts = [p for t in done.heard.turns for p in t.parts]
    assert [p.args for p in parts if isinstance(p, Call)] == [{"input": PATCH}]
    assert ["".join(q.text for q in p.parts if isinstance(q, Text)) for p in parts if isinstance(p, Result)] == ["Done é"]


@cell(where=MINE, wide=True)
def tools_in_namespaces(lane: Lane) -> None:
    """Two tools of one name in two namespaces are two tools, and the call says which."""
    inner = {"type": "function", "name": "close", "description": "closes", "parameters": {"type": "object", "properties": {}}}
    spaces = [
        {"type": "namespace", "name": n, "description": n, "tools": [{**inner, "strict": False, "description": n}]}
        for n in ("doors", "files")
    ]
    probe = lane.send_body(asked("hi {script}", tools=spaces), says("ok"))
    offered = {t.about: t.name for t in probe.heard.tools}
    assert not lane.way.crosses or len(set(offered.values())) == 2, offered
    name = next(name for about, name in offered.items() if "files" in about)
    got = lane.send_body(asked("close {script}", tools=spaces), Answer((Call(name, {}),)))
    call = got.final["output"][-1]
    assert (call["type"], call["name"], call["namespace"]) == ("function_call", "close", "files"), call


@cells_for(
    {
        "local_shell": ("local_shell", {"type": "exec", "command": ["ls", "-l"], "env": {}}),
        "apply_patch": ("apply_patch", {"type": "delete_file", "path": "a.txt"}),
        "shell": ("shell", {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}),
    },
    where=both(MINE, crossing),
    wide=True,
)
def tools_that_the_client_runs_for_the_api(lane: Lane, row: tuple[str, dict[str, Any]]) -> None:
    """Offered elsewhere as functions; the call comes back as the item that the client knows."""
    name, action = row
    tool = {"type": "shell", "environment": {"type": "local"}} if name == "shell" else {"type": name}
    probe = lane.send_body(asked("hi {script}", tools=[tool]), says("ok"))
    got = lane.send_body(asked("go {script}", tools=[tool]), Answer((Call(probe.heard.tools[0].name, action),)))
    item = got.final["output"][-1]
    assert item["type"] == f"{name}_call", item
    held = item["operation" if name == "apply_patch" else "action"]
    assert {k: v for k, v in action.items() if v}.items() <= held.items(), held


@cell(where=MINE, wide=True)
def a_strict_tool_and_one_call_at_a_time(lane: Lane) -> None:
    """`strict` is said, also where it is false: what is left out counts as true here and as false in Chat."""
    schema = {**WEATHER.schema, "required": ["zone", "city", "days"], "additionalProperties": False}
    tools = [
        {"type": "function", "name": name, "parameters": schema, "strict": strict}
        for name, strict in (("closed", True), ("open", False))
    ]
    got = lane.send_body(
        asked("go {script}", tools=tools, parallel_tool_calls=False), Answer((Call("closed", {"city": "x"}),))
    ).same()
    heard = {t.name: t.strict for t in got.heard.tools}
    assert heard == {"closed": True, "open": False} or "tools.0" in got.losses, (heard, got.losses)
    assert got.heard.parallel is False or "parallel_tool_calls" in got.losses


@cell(where=both(crossing, egress("responses"), ingress("openai")), wide=True)
def a_chat_tool_stays_unstrict(lane: Lane) -> None:
    """Chat's default is not strict and Responses' is: left out, the service would close and require everything."""
    got = lane.send(ASK, Answer((PARIS,))).same()
    assert [t["strict"] for t in got.record.body["tools"]] == [False, False]


@cell(where=both(MINE, lambda way: way.egress in ("responses", "openai", "anthropic")), wide=True)
def citations_of_the_web(lane: Lane) -> None:
    cite = Cite("https://example.com/a", "A page", "the quoted words")
    got = lane.send_body(asked("cite {script}"), Answer((Text("It is so.", (cite,)),))).same()
    notes = got.final["output"][0]["content"][0]["annotations"]
    assert [(n["type"], n["url"], n["title"]) for n in notes] == [("url_citation", cite.url, cite.title)], notes


# -- form -------------------------------------------------------------------------------------------------------------


@cell(modes=("raw",), where=MINE, wide=True)
def events_are_numbered_and_in_order(lane: Lane) -> None:
    answer = Answer((Thinking("hm"), Text("Looking."), PARIS, NOW))
    events = lane.send(wanting(lane, tools=(WEATHER, TIME)), answer).verdict["raw"]
    assert [e["sequence_number"] for e in events] == list(range(len(events)))
    kinds = [e["type"] for e in events]
    assert kinds[:2] == ["response.created", "response.in_progress"] and kinds[-1] == "response.completed"
    added = [e["output_index"] for e in events if e["type"] == "response.output_item.added"]
    done = [e["output_index"] for e in events if e["type"] == "response.output_item.done"]
    assert added == done == list(range(len(added)))
    finished = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    assert finished == events[-1]["response"]["output"]
    assert len({item["id"] for item in finished}) == len(finished)
    assert len({e["response"]["id"] for e in events if "response" in e}) == 1


@cell(where=both(MINE, gateway_only), wide=True)
def a_response_has_what_the_sdk_types_promise(lane: Lane) -> None:
    final = lane.send(ASK, says("Go.", PARIS)).same().final
    promised: dict[str, Any] = {"object": "response", "status": "completed", "error": None, "incomplete_details": None}
    assert promised.items() <= final.items() and final["id"].startswith("resp_") and final["model"]
    assert final["created_at"] > 1_700_000_000 and final["parallel_tool_calls"] is True
    assert isinstance(final["tools"], list) and final["tool_choice"] == "auto"
    usage = final["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert [i["id"].partition("_")[0] for i in final["output"]] == ["msg", "fc"]


# -- servers that only nearly speak it --------------------------------------------------------------------------------


@cells_for({name: name for name in EVENTS}, modes=("stream",), where=both(crossing, egress("responses")), wide=True)
def nearly_a_stream_of_responses(lane: Lane, habit: str) -> None:
    answer = Answer((Thinking("hm"), Text("Both of them."), PARIS, OSLO, NOW)).styled(habit=habit, pieces=4)
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), answer).same()
    assert len(set(got.call_ids())) == 3, got.call_ids()


@cells_for({name: name for name in DOCUMENTS}, modes=("whole",), where=both(crossing, egress("responses")), wide=True)
def nearly_a_response(lane: Lane, habit: str) -> None:
    got = lane.send(ASK, says("Both of them.", PARIS, OSLO, NOW).styled(habit=habit)).same()
    assert len(set(got.call_ids())) == 3, got.call_ids()


@cells_for(
    {"failed": "failed", "nested error": "nested_error"}, modes=("stream",), where=both(crossing, egress("responses")), wide=True
)
def a_failure_in_the_stream_in_other_forms(lane: Lane, habit: str) -> None:
    fail = Fail("event", "mid", status=529, message="overloaded in the middle")
    got = lane.send(ASK, says("one two three four five six", fail=fail).styled(habit=habit, pieces=6))
    got.failed("APIError", says="overloaded in the middle")
