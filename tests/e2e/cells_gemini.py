"""Cells about what only Gemini has: signatures on calls, blocked prompts, habits of its servers, its SDK's own conversations."""

from __future__ import annotations

import json
from typing import Any

from scripted.answer import Answer, Call, Fail, Result, Text, Thinking, says
from scripted.asked import Asked, assistant, user
from scripted.gemini_signing import SKIPS

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress
from .cells_stream import RICH
from .cells_thinking import WORDS, wanting
from .cells_tools import ASK, NOW, OSLO, PARIS, TIME, WEATHER
from .lanes import Got, Lane


def signatures(got: Got) -> list[str]:
    """Those of the calls that the upstream was given back."""
    parts = [p for content in got.record.body["contents"] for p in content["parts"] if "functionCall" in p]
    return [p.get("thoughtSignature") or p.get("thought_signature") or "" for p in parts]


@cell(modes=("whole", "stream", "async"), where=egress("gemini"), wide=True)
def signatures_of_calls_come_back(lane: Lane) -> None:
    """The service signs the first call of an answer and demands that signature, on that call, with the results."""
    answers = (Answer((Thinking(WORDS), Text("Looking."), PARIS)), says("Sunny."))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    got.same(thinking=WORDS)
    done = got.then(*got.results("sunny")).same()
    (signature,) = signatures(done)
    assert signature and signature not in SKIPS


@cell(where=egress("gemini"), wide=True)
def signatures_of_several_steps_come_back(lane: Lane) -> None:
    answers = (
        Answer((Thinking("one"), PARIS)),
        Answer((Thinking("two"), Text("Hm."), OSLO, NOW)),
        says("All known."),
    )
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), *answers)
    got = got.then(*got.results("sunny"))
    got = got.then(*got.results("snow", "noon")).same()
    first, second, third = signatures(got)
    assert first and second and not third and not {first, second} & set(SKIPS)


# A client of Gemini knows of that word and says it itself.
@cell(where=both(egress("gemini"), crossing), wide=True)
def calls_of_elsewhere_are_taken(lane: Lane) -> None:
    """Newer models refuse an unsigned call of the current turn, unless it says that nobody signed it."""
    call = Call("get_weather", {"city": "Paris"}, "call_1")
    turns = (user("weather?"), assistant(call), user(Result(call.id, (Text("sunny"),))))
    got = lane.send(Asked(turns, tools=(WEATHER,)), says("x"), says("Sunny."), model=lane.model(True))
    assert got.meaning.text == "Sunny." and signatures(got) == [SKIPS[0]]


@cell(where=both(egress("gemini"), crossing), wide=True)
def a_prompt_that_is_blocked_is_a_refusal(lane: Lane) -> None:
    got = lane.send(Asked((user("bad"),)), Answer(stop="refusal").styled(habit="blocked"))
    assert got.meaning.text == "" and not got.meaning.calls
    assert got.meaning.stop not in ("stop", "end_turn", "completed"), got.meaning


HABITS: dict[str, dict[str, Any]] = {
    "calls in one chunk": {"whole_calls": True},
    "finish with content": {"finish_with_content": True},
    "no last parts": {"habit": "no_last_parts"},
    "no role": {"habit": "no_role"},
    "no index": {"habit": "no_index"},
    "usage first": {"habit": "usage_first"},
    "usage after": {"habit": "usage_after"},
    "no args": {"habit": "no_args"},
    "CRLF byte by byte": {"newline": "\r\n", "tcp": 1},
    "escapes": {"ascii": True},
}


@cells_for(HABITS, modes=("stream",), where=egress("gemini"), wide=True)
def habits_of_gemini_servers(lane: Lane, style: dict[str, Any]) -> None:
    got = lane.send(ASK, RICH.styled(**style)).same()
    assert len(set(got.call_ids())) == 3


@cell(modes=("stream",), where=both(egress("gemini"), gateway_only), wide=True)
def an_error_as_an_event_is_an_error(lane: Lane) -> None:
    fail = Fail("event", "mid", status=503, message="overloaded in the middle")
    answer = Answer((Text("one two three four"),), fail=fail).styled(pieces=8, habit="error_event")
    lane.send(Asked((user("hi"),)), answer).failed("APIError", says=fail.message)


@cell(modes=("chat",), where=ingress("gemini"), wide=True)
def the_sdks_own_conversation_goes_on(lane: Lane) -> None:
    """It keeps each chunk of a stream as a content of its own, so that the model speaks several times in a row."""
    got = lane.send(Asked((user("one"),)), says("first answer").styled(finish_with_content=True), says("second"), more="and?")
    assert got.meaning.text == "second"


@cell(modes=("count",), where=ingress("gemini"), wide=True)
def gemini_tokens_are_counted(lane: Lane) -> None:
    def counted(text: str) -> int:
        body = {"contents": [{"role": "user", "parts": [{"text": text + " {script}"}]}]}
        return int(lane.send_body(body, says("ok")).final["totalTokens"])

    small, large = counted("hi"), counted("word " * 400)
    assert 0 < small < large and large >= 300


@cell(where=both(ingress("gemini"), gateway_only), wide=True)
def either_spelling_is_read(lane: Lane) -> None:
    """google-genai and the service's own protobuf parser mix them."""
    config = {"maxOutputTokens": 50, "thinkingConfig": {"include_thoughts": False}}
    body = {
        "contents": [{"role": "user", "parts": [{"text": "hi {script}"}]}],
        "system_instruction": {"parts": [{"text": "TERSE"}]},
    }
    got = lane.send_body({**body, "generationConfig": config}, says("ok")).same()
    assert "TERSE" in json.dumps(got.record.body)
