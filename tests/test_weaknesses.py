"""The list of docs/development.md: what the reference got wrong. That its tests exist, and those that fit nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

from tests.streams import blocks, data_frame, each_twin, last, piped, run
from tests.test_pipe import framed

ROOT = Path(__file__).parents[1]


def test_every_test_that_the_list_names_exists() -> None:
    page = (ROOT / "docs" / "development.md").read_text()
    named = re.findall(r"`([\w/]+)::(\w+)`", page)
    missing = [
        f"{file}::{name}" for file, name in named if not re.search(rf"def {name}\(", (ROOT / "tests" / f"{file}.py").read_text())
    ]
    assert named and not missing


@each_twin
def test_w64_a_content_part_inside_a_call_opens_no_text(twin: object) -> None:
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "", "status": "in_progress"}
    done = {**item, "arguments": '{"a":1}', "status": "completed"}
    place = {"item_id": "fc_1", "output_index": 0}
    stream = (
        framed("response.created", response={"id": "r", "status": "in_progress", "output": []})
        + framed("response.output_item.added", output_index=0, item=item)
        + framed("response.content_part.added", content_index=0, part={"type": "output_text", "text": ""}, **place)
        + framed("response.function_call_arguments.delta", delta='{"a":1}', **place)
        + framed("response.content_part.done", content_index=0, part={"type": "output_text", "text": ""}, **place)
        + framed("response.output_item.done", output_index=0, item=done)
        + framed("response.completed", response={"id": "r", "status": "completed", "output": [done]})
    )
    found = run(piped(twin, "openai_responses", "anthropic"), [stream])
    assert blocks(found.out) == [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}]
    assert last(found.out, "message_delta")["delta"]["stop_reason"] == "tool_use"


def spoken(*parts: object, **candidate: object) -> bytes:
    return data_frame({"candidates": [{"content": {"role": "model", "parts": list(parts)}, **candidate}]})


@each_twin
def test_w66_calls_in_several_chunks_all_arrive_and_are_what_the_reply_stops_for(twin: object) -> None:
    calls = [spoken({"functionCall": {"id": f"c{at}", "name": "f", "args": {"n": at}}}) for at in range(3)]
    found = run(piped(twin, "gemini", "anthropic"), [b"".join(calls) + spoken(finishReason="STOP")])
    assert [block["input"] for block in blocks(found.out)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert last(found.out, "message_delta")["delta"]["stop_reason"] == "tool_use"


@each_twin
def test_w67_thinking_ends_before_a_call_and_no_character_is_cut(twin: object) -> None:
    thoughts = [spoken({"text": text, "thought": True}) for text in ("é", "日本", "😀")]
    call = spoken({"functionCall": {"id": "c", "name": "f", "args": {}}}, finishReason="STOP")
    found = run(piped(twin, "gemini", "anthropic"), [b"".join(thoughts) + call])
    assert [block["type"] for block in blocks(found.out)] == ["thinking", "tool_use"]
    assert blocks(found.out)[0]["thinking"] == "é日本😀"
