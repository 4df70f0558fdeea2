"""providers/demo: deterministic, honest about itself, tools and thinking when asked."""

from __future__ import annotations

import json
from typing import Any

from anyllm_fast.app import App
from anyllm_fast.config import DEMO, Settings
from tests.asgi import Answer, ask

TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def say(text: str, path: str = "/v1/messages", **more: Any) -> Answer:
    app = App(Settings(backends=(DEMO,), demo=True, log_level="off"))
    body = {"model": "demo", "max_tokens": 100, "messages": [{"role": "user", "content": text}]} | more
    return await ask(app, "POST", path, body, {"authorization": ""})


async def test_the_demo_says_that_it_is_no_model_and_answers_the_same_twice() -> None:
    first, second = await say("Hi"), await say("Hi")
    assert first.body == second.body
    assert "demo provider" in first.json()["content"][0]["text"] and "Hi" in first.json()["content"][0]["text"]


async def test_the_demo_streams_word_by_word() -> None:
    answer = await say("one two three", stream=True)
    assert answer.body.count(b"text_delta") > 10
    assert len(answer.parts) > 10
    assert answer.body.endswith(b'data: {"type":"message_stop"}\n\n')


async def test_the_demo_calls_a_tool_that_is_asked_for_and_only_then() -> None:
    called = (await say("call get_weather for me", tools=[TOOL])).json()
    assert called["stop_reason"] == "tool_use"
    assert called["content"][-1]["input"] == {"city": "demo"}
    assert (await say("how is the weather?", tools=[TOOL])).json()["stop_reason"] == "end_turn"
    forced = (await say("Hi", tools=[TOOL], tool_choice={"type": "any"})).json()
    assert forced["content"][-1]["name"] == "get_weather"
    none = (await say("call get_weather", tools=[TOOL], tool_choice={"type": "none"})).json()
    assert none["stop_reason"] == "end_turn"


async def test_the_demo_thinks_when_asked_to() -> None:
    thought = (await say("think about it", thinking={"type": "adaptive"})).json()
    assert thought["content"][0]["type"] == "thinking" and thought["content"][0]["signature"]
    assert (await say("think about it")).json()["content"][0]["type"] == "text"


async def test_the_demo_reads_a_tools_result() -> None:
    turns = [
        {"role": "user", "content": "call get_weather"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "demo"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]},
    ]
    assert "sunny" in (await say("", messages=turns, tools=[TOOL])).json()["content"][0]["text"]


async def test_chat_clients_reach_the_demo_by_translation() -> None:
    body = json.loads((await say("Hi", "/v1/chat/completions")).body)
    assert "demo provider" in body["choices"][0]["message"]["content"]
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL["input_schema"]}}]
    called = json.loads((await say("use get_weather", "/v1/chat/completions", tools=tools)).body)["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    assert json.loads(called["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "demo"}
