"""Cells about reasoning: asked for in either dialect, shown in either, and its signatures brought back unharmed."""

from __future__ import annotations

from dataclasses import replace

from scripted.answer import Answer, Call, Redacted, Text, Thinking, says
from scripted.asked import Asked, assistant, user

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress, same_dialect
from .cells_text import ODD
from .cells_tools import NOW, OSLO, PARIS, TIME, WEATHER
from .lanes import Lane, Way

WORDS = "First I weigh it. " + ODD + "\nThen I decide."
THINKS = Answer((Thinking(WORDS), Text("Decided.")))
HEADER = {"anthropic-beta": "interleaved-thinking-2025-05-14"}


def wanting(lane: Lane, *more: object, **changes: object) -> Asked:
    """A request that asks for reasoning in the words of the lane's client."""
    asked = Asked((user("think"),), max_tokens=8000)
    asked = replace(asked, effort="medium") if lane.way.ingress == "openai" else replace(asked, budget=2000)
    return replace(asked, **changes)  # type: ignore[arg-type]


def unsummarized(way: Way) -> bool:
    """Chat has no word that asks for a summary, and Responses shows nothing else: `a_chat_client_asks_for_no_summary`."""
    return (way.ingress, way.egress) == ("openai", "responses")


@cell(modes=("whole", "stream", "async"), where=lambda way: not unsummarized(way))
def thinking_is_asked_for_and_shown(lane: Lane) -> None:
    got = lane.send(wanting(lane), THINKS)
    got.same(thinking=WORDS)


@cell(where=both(crossing, ingress("anthropic")))
def a_budget_becomes_an_effort(lane: Lane) -> None:
    seen = []
    for budget in (1024, 4000, 20000):
        got = lane.send(wanting(lane, budget=budget, max_tokens=30000), says("ok"))
        seen.append(got.heard.effort)
    assert set(seen) <= {"minimal", "low", "medium", "high", "xhigh", "max"} and seen[0] != seen[2], seen


@cells_for({e: e for e in ("minimal", "low", "medium", "high")}, where=both(crossing, ingress("openai")))
def an_effort_becomes_thinking(lane: Lane, effort: str) -> None:
    got = lane.send(wanting(lane, effort=effort), THINKS)
    got.same(thinking=WORDS)


@cell(where=both(crossing, ingress("openai")))
def no_effort_is_no_thinking(lane: Lane) -> None:
    got = lane.send(wanting(lane, effort="none"), THINKS)
    got.same(thinking="")


@cell(where=both(crossing, ingress("openai")))
def thinking_needs_room(lane: Lane) -> None:
    """The bound of the caller is smaller than any budget, and 1024 is the least."""
    for bound in (100, 1024, 1500):
        lane.send(wanting(lane, effort="high", max_tokens=bound), says("ok")).same()


@cell(where=both(crossing, ingress("openai")))
def thinking_forbids_a_temperature(lane: Lane) -> None:
    got = lane.send(wanting(lane, temperature=0.2), says("ok")).same()
    assert "temperature" in got.losses or "reasoning_effort" in got.losses


@cell(where=both(crossing, ingress("openai")))
def thinking_forbids_a_forced_tool(lane: Lane) -> None:
    lane.send(wanting(lane, tools=(WEATHER,), choice="any"), Answer((PARIS,))).same()


@cells_for(
    {
        "adaptive": ({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "high"}}, "high"),
        "effort max": ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, ""),
        "disabled": ({"thinking": {"type": "disabled"}}, "-"),
    },
    where=ingress("anthropic"),
)
def the_forms_of_thinking(lane: Lane, row: tuple[dict[str, object], str]) -> None:
    extra, effort = row
    got = lane.send(Asked((user("think"),), max_tokens=8000), says("ok"), extra=extra).same()
    if lane.way.crosses and effort == "-":
        assert got.heard.effort in ("", "none", "minimal")
    elif lane.way.crosses:
        assert got.heard.effort and (not effort or got.heard.effort == effort)


@cell(where=both(egress("openai"), ingress("openai")))
def effort_and_reasoning_of_the_same_dialect(lane: Lane) -> None:
    for name in ("reasoning_content", "reasoning"):
        got = lane.send(wanting(lane), THINKS.styled(reasoning=name))
        got.same(thinking=WORDS)
        assert got.heard.effort == "medium"


@cell(where=both(gateway_only, egress("openai"), ingress("anthropic")))
def either_name_of_reasoning_is_thinking(lane: Lane) -> None:
    for name in ("reasoning_content", "reasoning"):
        for role in ("empty", "null"):
            lane.send(wanting(lane), THINKS.styled(reasoning=name, role=role)).same(thinking=WORDS)


@cell(where=both(gateway_only, egress("openai")))
def a_reasoning_model_takes_the_new_bound(lane: Lane) -> None:
    """`max_tokens` is a 400 on these models, and so is any temperature but 1."""
    lane.send(wanting(lane), THINKS).same(thinking=WORDS)
    got = lane.send(wanting(lane, temperature=1.0), THINKS).same(thinking=WORDS)
    assert got.record.body["max_completion_tokens"] == 8000


@cell(where=both(gateway_only, egress("openai"), ingress("anthropic")))
def a_model_that_does_not_reason_is_not_asked_to(lane: Lane) -> None:
    """reasoning_effort is a 400 there; that it was left out is said."""
    got = lane.send(wanting(lane), says("ok"), model=lane.model()).same()
    assert got.losses


@cell(where=egress("anthropic"), modes=("whole", "stream", "async"))
def signatures_come_back(lane: Lane) -> None:
    """Two turns with a tool between: the service verifies its own thinking. Any client can carry it."""
    answers = (Answer((Thinking(WORDS), Text("Looking."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    got.same(thinking=WORDS)
    done = got.then(*got.results("sunny")).same()
    heard = [p for t in done.heard.turns for p in t.parts if isinstance(p, Thinking)]
    assert [p.text for p in heard] == [WORDS], done.record.body["messages"]


@cell(where=egress("anthropic"))
def signatures_of_several_turns_come_back(lane: Lane) -> None:
    answers = (
        Answer((Thinking("one"), PARIS)),
        Answer((Thinking("two"), Text("Hm."), OSLO, NOW)),
        says("All known."),
    )
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    got = got.then(*got.results("sunny"))
    got = got.then(*got.results("snow", "noon")).same()
    heard = [p.text for t in got.heard.turns for p in t.parts if isinstance(p, Thinking)]
    assert heard == ["one", "two"]


@cell(where=egress("anthropic"))
def redacted_thinking_comes_back(lane: Lane) -> None:
    answers = (Answer((Thinking("open"), Redacted("secret"), Text("Hm."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    got.same(thinking="open")
    done = got.then(*got.results("sunny")).same()
    kinds = [type(p) for t in done.heard.turns for p in t.parts if isinstance(p, Thinking | Redacted)]
    assert kinds == [Thinking, Redacted]


@cell(where=both(egress("anthropic"), ingress("anthropic")))
def omitted_thinking_keeps_its_signature(lane: Lane) -> None:
    """What Claude Code asks for by default."""
    asked = Asked((user("think"),), tools=(WEATHER,), max_tokens=8000)
    extra = {"thinking": {"type": "adaptive", "display": "omitted"}}
    answers = (Answer((Thinking(WORDS), Text("Looking."), PARIS)), says("Sunny."))
    got = lane.send(asked, *answers, extra=extra).same(thinking="")
    assert [b for b in got.final["content"] if b["type"] == "thinking" and b["signature"]]
    got.then(*got.results("sunny")).same()


@cell(where=both(egress("anthropic"), ingress("anthropic")))
def interleaved_thinking_keeps_its_order(lane: Lane) -> None:
    parts = (Thinking("a"), Text("one"), Thinking("b"), PARIS)
    got = lane.send(wanting(lane, tools=(WEATHER,)), Answer(parts), headers=HEADER).same(thinking="ab")
    assert [b["type"] for b in got.final["content"]] == ["thinking", "text", "thinking", "tool_use"]


@cell(where=both(egress("anthropic"), ingress("openai")))
def a_client_that_drops_the_thinking_still_gets_its_turn(lane: Lane) -> None:
    """Most Chat clients replay only content and tool_calls; manual thinking would then be refused."""
    answers = (Answer((Thinking(WORDS), Text("Looking."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    call = replace(PARIS, id=got.call_ids()[0])
    got.then(*got.results("sunny"), turn=assistant("Looking.", call)).same(thinking="")


@cell(where=both(same_dialect, ingress("anthropic")))
def an_altered_signature_is_refused(lane: Lane) -> None:
    """The refusal of the service reaches the client: nothing is stripped in silence on the same dialect."""
    got = lane.send(wanting(lane, tools=(WEATHER,)), Answer((Thinking("mine"), PARIS)), says("Sunny."))
    turn = got.replay()
    content = turn.parts[0].message["content"]  # type: ignore[union-attr]
    content[0]["thinking"] = "not mine"
    done = got.then(*got.results("sunny"), turn=turn)
    done.failed("BadRequestError", status=400, says="signature")


@cell(where=both(crossing, ingress("anthropic")))
def thinking_of_elsewhere_does_not_harm(lane: Lane) -> None:
    """A conversation begun on another backend: foreign thinking is dropped and said so, never sent as text."""
    block = {"type": "thinking", "thinking": "FOREIGN THOUGHT", "signature": "c2lnbmF0dXJl"}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [block, {"type": "text", "text": "Hello."}]},
        {"role": "user", "content": "go on {script}"},
    ]
    got = lane.send_body({"messages": messages, "max_tokens": 50}, says("ok")).same()
    heard = [p for t in got.heard.turns for p in t.parts if isinstance(p, Text) and "FOREIGN" in p.text]
    assert not heard


@cell(where=both(crossing, ingress("anthropic")))
def the_thinking_of_a_chat_service_can_be_replayed(lane: Lane) -> None:
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), Answer((Thinking(WORDS), Text("Hm."), PARIS)), says("Sunny."))
    got.same(thinking=WORDS)
    got.then(*got.results("sunny")).same()


@cell(where=both(egress("anthropic"), ingress("anthropic")))
def cache_marks_pass(lane: Lane) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    body = {
        "max_tokens": 50,
        "system": [{"type": "text", "text": "You are terse.", **mark}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi {script}", **mark}]}],
    }
    got = lane.send_body(body, says("ok")).same()
    assert got.record.request.body.count(b"ephemeral") == 2


@cell(where=both(crossing, ingress("anthropic")))
def cache_marks_do_not_harm(lane: Lane) -> None:
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tool = {"name": "t", "input_schema": {"type": "object", "properties": {}}, **mark}
    body = {
        "max_tokens": 50,
        "system": [{"type": "text", "text": "You are terse.", **mark}],
        "tools": [tool],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi {script}", **mark}]}],
    }
    lane.send_body(body, Answer((Call("t", {}),))).same()
