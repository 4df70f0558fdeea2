"""Cells about the stream itself: every way in which servers write the same meaning, and when it arrives."""

from __future__ import annotations

import time
from typing import Any

from scripted.answer import Answer, Text, Thinking, says
from scripted.asked import Asked, user

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress, newest
from .cells_thinking import wanting
from .cells_tools import ASK, NOW, OSLO, PARIS, TIME, WEATHER
from .lanes import Lane

RICH = says("Both of them, é 👩‍👧.", PARIS, OSLO, NOW)

# What a client of the same dialect copes with by itself, so that the bytes may go through untouched.
FRAMING: dict[str, dict[str, Any]] = {
    "CRLF": {"newline": "\r\n"},
    "CR": {"newline": "\r"},
    "byte by byte": {"tcp": 1},
    "seven bytes": {"tcp": 7},
    "all at once": {"tcp": -1},
    "one delta": {"pieces": 1},
    "many deltas": {"pieces": 60},
    "CRLF cut anywhere": {"newline": "\r\n", "tcp": 3},
}
# The same, where that client is not one of Gemini: its SDKs in all languages read every line as data.
LOOSE_FRAMING: dict[str, dict[str, Any]] = {
    "no space after data": {"space": False},
    "comments": {"comments": True},
}
# What a Chat client may misread: held only against the translated lanes.
CHAT_HABITS: dict[str, dict[str, Any]] = {
    "byte order mark": {"bom": True},
    "role with null": {"role": "null"},
    "role alone": {"role": "none"},
    "no DONE": {"done": False},
    "no last blank line": {"last_blank": False},
    "finish with content": {"finish_with_content": True},
    "calls in turns": {"interleave": True, "pieces": 5},
    "calls whole": {"whole_calls": True},
    "calls whole without index": {"whole_calls": True, "index": False},
    "finish stop": {"finish_stop": True},
    "usage always": {"usage": "always"},
    "usage with finish": {"usage": "with_finish"},
    "id with the first arguments": {"id_late": True},
    "brotli": {"encoding": "br"},
    "zstd": {"encoding": "zstd"},
    "a document": {"document": True},
    "a document in gzip": {"document": True, "encoding": "gzip"},
}
MESSAGES_HABITS: dict[str, dict[str, Any]] = {
    "byte order mark": {"bom": True},
    "no last blank line": {"last_blank": False},
    "pings": {"pings": True},
    "input counted late": {"late_input": True},
    "brotli": {"encoding": "br"},
    "zstd": {"encoding": "zstd"},
    "a document": {"document": True},
}


@cells_for(FRAMING, modes=("stream",))
def framing(lane: Lane, style: dict[str, Any]) -> None:
    lane.send(ASK, RICH.styled(**style)).same()


@cell(modes=("stream",), where=lambda way: not (way.direct and way.ingress == "bedrock"))  # boto3 reads no compressed streams
def a_stream_in_gzip(lane: Lane) -> None:
    lane.send(ASK, RICH.styled(encoding="gzip")).same()


@cells_for(LOOSE_FRAMING, modes=("stream",), where=lambda way: way.crosses or way.ingress != "gemini")
def loose_framing(lane: Lane, style: dict[str, Any]) -> None:
    lane.send(ASK, RICH.styled(**style)).same()


@cells_for(CHAT_HABITS, modes=("stream",), where=both(crossing, egress("openai")))
def habits_of_chat_servers(lane: Lane, style: dict[str, Any]) -> None:
    got = lane.send(ASK, RICH.styled(**style)).same()
    assert len(set(got.call_ids())) == 3


@cells_for(MESSAGES_HABITS, modes=("stream",), where=both(crossing, egress("anthropic")))
def habits_of_messages_servers(lane: Lane, style: dict[str, Any]) -> None:
    lane.send(ASK, RICH.styled(**style)).same()


@cells_for({"br": "br", "zstd": "zstd", "gzip": "gzip"}, where=gateway_only)
def encodings_nobody_asked_for(lane: Lane, encoding: str) -> None:
    """The gateway asks for identity; a client that never asked for brotli cannot read it."""
    lane.send(ASK, RICH.styled(encoding=encoding)).same()


@cell(modes=("stream",), where=both(gateway_only, crossing, egress("openai")))
def a_call_without_index_in_pieces(lane: Lane) -> None:
    """One call whose fragments carry no index: only the first has a name."""
    lane.send(ASK, says("", PARIS).styled(index=False)).same()


@cell(where=both(crossing, egress("openai")))
def finish_stop_with_calls_is_a_tool_turn(lane: Lane) -> None:
    lane.send(ASK, RICH.styled(finish_stop=True)).same()


@cell(modes=("stream",), where=gateway_only)
def deltas_stay_deltas(lane: Lane) -> None:
    answer = says("one two three four five six seven eight").styled(pieces=8, pace=0.01)
    got = lane.send(Asked((user("count"),)), answer).same()
    assert len(got.verdict["deltas"]) >= 6, got.verdict["deltas"]


@cell(modes=("stream",))
def the_first_delta_does_not_wait(lane: Lane) -> None:
    """The upstream is silent after its first delta until the client has it."""
    name = f"hold{id(lane)}"
    release = f"{lane.stage.scripted.root(lane.way.egress)}/release/{name}"
    answer = says("first rest and the end").styled(hold=name)
    got = lane.send(Asked((user("go"),)), answer, on_first=release).same()
    assert not got.record.held_out, "the client got its first delta only after the upstream went on"


@cell(modes=("stream",), where=newest)
def a_client_that_leaves_is_noticed(lane: Lane) -> None:
    answer = says("word " * 400).styled(pieces=400, pace=0.02)
    got = lane.send(Asked((user("go"),)), answer, leave_after=3)
    assert got.verdict.get("left"), got.verdict
    end = time.monotonic() + 4
    while time.monotonic() < end and not got.record.left:
        time.sleep(0.02)
    assert got.record.left, "the upstream was read on for a client that had gone"


@cell(modes=("raw",), where=ingress("openai"))
def usage_is_sent_only_when_asked(lane: Lane) -> None:
    got = lane.send(Asked((user("go"),)), says("ok"))
    assert not [c for c in got.verdict["raw"] if c.get("usage")], got.verdict["raw"][-2:]
    asked = {"stream_options": {"include_usage": True}}
    got = lane.send(Asked((user("go"),)), says("ok"), extra=asked)
    last = got.verdict["raw"][-1]
    assert last["choices"] == [] and last["usage"]["completion_tokens"] == 7


@cell(modes=("raw",), where=ingress("openai"))
def chunks_are_of_one_reply(lane: Lane) -> None:
    got = lane.send(ASK, RICH)
    chunks = got.verdict["raw"]
    assert len({c["id"] for c in chunks}) == 1 and len({c["model"] for c in chunks}) == 1
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    first = chunks[0]["choices"][0]["delta"]
    assert first["role"] == "assistant"
    finishes = [c["choices"][0].get("finish_reason") for c in chunks if c["choices"]]
    assert finishes[-1] == "tool_calls" and not any(finishes[:-1])


@cell(modes=("raw",), where=ingress("anthropic"))
def events_come_in_order(lane: Lane) -> None:
    answer = Answer((Thinking("hm"), Text("Looking."), PARIS, NOW))
    got = lane.send(wanting(lane, tools=(WEATHER, TIME)), answer)
    events = [e for e in got.verdict["raw"] if e["type"] != "ping"]
    assert events[0]["type"] == "message_start" and events[-1]["type"] == "message_stop"
    assert [e["type"] for e in events].count("message_delta") == 1 and events[-2]["type"] == "message_delta"
    opened, index = None, 0
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert opened is None and event["index"] == index, events
            opened = event["index"]
        else:
            assert event["index"] == opened, events
            if event["type"] == "content_block_stop":
                opened, index = None, index + 1
    assert opened is None and index == 4


@cell(modes=("stream",), where=both(gateway_only, newest))
def many_at_once_stay_apart(lane: Lane) -> None:
    """Replies on reused connections never mix: forty turns of different length over one client."""
    for n in range(40):
        lane.send(Asked((user(f"n {n}"),)), says(f"answer {n} " * (n + 1)).styled(pieces=n + 1)).same()
