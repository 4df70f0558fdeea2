"""Cells about replies that hold more than words and calls: parts that only one vendor has, told to the other's client."""

from __future__ import annotations

from typing import Any

from scripted.answer import Answer, Call, Own, Text, Thinking, says
from scripted.asked import Asked, user

from .cells import both, cell, cells_for, crossing, egress, gateway_only, ingress
from .cells_tools import ASK, PARIS
from .lanes import Lane

SEARCH = (
    Own({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "news"}}),
    Own(
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result", "url": "https://a.example", "title": "T", "encrypted_content": "eA=="}],
        }
    ),
)


@cell(where=egress("anthropic"))
def a_search_of_the_server(lane: Lane) -> None:
    """Its own tool calls are no calls for a Chat client to run; the words around them stay."""
    answer = Answer((Text("I search. "), *SEARCH, Text("Found it.")))
    got = lane.send(Asked((user("news?"),)), answer).same()
    if not lane.way.crosses:
        kinds = [b["type"] for b in got.final["content"]]
        assert kinds == ["text", "server_tool_use", "web_search_tool_result", "text"]
        assert got.final["content"][1]["input"] == {"query": "news"}


@cells_for(
    {"pause": ("pause_turn", ("stop", "length")), "window": ("model_context_window_exceeded", ("length",))},
    where=egress("anthropic"),
)
def stops_that_only_messages_has(lane: Lane, row: tuple[str, tuple[str, ...]]) -> None:
    stop, others = row
    got = lane.send(Asked((user("go"),)), says("part one", stop_sequence="", stop=stop))
    meaning = got.meaning
    assert meaning.text == "part one"
    assert meaning.stop in ((stop,) if lane.way.ingress == "anthropic" else others)


@cell(where=both(ingress("openai")))
def text_after_a_call(lane: Lane) -> None:
    got = lane.send(ASK, Answer((Text("First. "), PARIS, Text("Second."))))
    assert got.meaning.text == "First. Second." and len(got.meaning.calls) == 1


@cell(where=both(ingress("anthropic"), egress("anthropic")))
def blocks_keep_their_order(lane: Lane) -> None:
    got = lane.send(ASK, Answer((Text("a"), PARIS, Text("b"), Call("get_weather", {"city": "Oslo"}), Text("c")))).same()
    assert [b["type"] for b in got.final["content"]] == ["text", "tool_use", "text", "tool_use", "text"]


@cell(modes=("stream",), where=both(crossing, egress("openai")))
def words_after_calls_in_a_stream(lane: Lane) -> None:
    """A Chat server may write content again after tool calls began: no block is opened twice, nothing is dropped."""
    parts = (Thinking("hm"), Text("First. "), PARIS, Text("Second."), Call("get_weather", {"city": "Oslo"}))
    got = lane.send(ASK, Answer(parts).styled(habit="in_order"))
    meaning = got.meaning
    assert meaning.text == "First. Second." and meaning.thinking == "hm"
    assert [c[1] for c in meaning.calls] == ['{"zone": "EU", "city": "Paris", "days": 2}', '{"city": "Oslo"}']


@cell(where=both(crossing, ingress("anthropic"), gateway_only))
def a_reply_has_what_the_sdk_types_promise(lane: Lane) -> None:
    final = lane.send(ASK, says("Go.", PARIS)).same().final
    promised: dict[str, Any] = {"type": "message", "role": "assistant"}
    assert promised.items() <= final.items() and final["id"].startswith("msg_") and final["model"]
    assert isinstance(final["usage"]["input_tokens"], int)


@cell(where=both(crossing, ingress("openai"), gateway_only))
def a_completion_has_what_the_sdk_types_promise(lane: Lane) -> None:
    final = lane.send(ASK, says("Go.", PARIS)).same().final
    assert final["object"].startswith("chat.completion") and final["id"] and final["model"]
    assert isinstance(final["created"], int) and final["created"] > 1_700_000_000
    assert final["choices"][0]["index"] == 0
    usage = final["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert all(c["type"] == "function" and c["id"] for c in final["choices"][0]["message"]["tool_calls"])
