"""Requests of other dialects as a Responses target gets them.

The numbers W57 to W62 are faults that were found in another gateway; each test that bears one says what must not happen again.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from anyllm_fast.dialects import anthropic_request, openai_responses_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import (
    Media,
    Request,
    Text,
    Thinking,
    Turn,
)
from tests.responses import (
    CLOSED,
    Json,
    of_anthropic,
    of_chat,
    user,
)


def test_w57_numbers_leave_as_they_were_written() -> None:
    body = b'{"model":"m","max_tokens":100,"top_p":0.90,"messages":[{"role":"user","content":"x"}]}'
    request = anthropic_request.read_request(body, Losses())
    assert b'"top_p":0.90' in openai_responses_request.write_request(request, "m", Profile(), Losses())


def test_w60_what_a_model_answered_is_sent_as_output_text() -> None:
    out, _ = of_anthropic(user(), {"role": "assistant", "content": "a"}, user())
    assert out["input"][1]["content"] == [{"type": "output_text", "text": "a", "annotations": []}]
    assert out["input"][0]["content"] == [{"type": "input_text", "text": "hi"}]


def test_w62_stop_sequences_are_announced_and_not_sent() -> None:
    out, losses = of_anthropic(user(), stop_sequences=["END"])
    assert "stop" not in out
    assert set(losses) == {"stop_sequences"}


def test_w62_thinking_and_metadata_are_not_dropped() -> None:
    out, losses = of_anthropic(user(), thinking={"type": "adaptive"}, output_config={"effort": "low"}, metadata={"user_id": "u"})
    assert out["reasoning"] == {"effort": "low", "summary": "auto"}
    assert out["user"] == "u"
    assert not losses


def test_w62_a_failed_result_says_so() -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "no such file", "is_error": True}
    out, _ = of_anthropic(user(), use, user([result]))
    assert out["input"][2] == {"type": "function_call_output", "call_id": "t", "output": "Error: no such file"}


def test_reading_a_conversation_of_calls_gives_items_in_their_order() -> None:
    answer = [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ]
    results = [{"type": "tool_result", "tool_use_id": ident, "content": ident} for ident in ("t2", "t1")]
    out, _ = of_anthropic(user(), {"role": "assistant", "content": answer}, user([*results, {"type": "text", "text": "go"}]))
    assert [item["type"] for item in out["input"]] == [
        *("message", "message", "function_call", "function_call", "function_call_output", "function_call_output", "message")
    ]
    assert [item["call_id"] for item in out["input"][2:6]] == ["t1", "t2", "t1", "t2"]


def test_replies_are_not_stored_unless_the_client_asks() -> None:
    assert of_chat(user())[0]["store"] is False
    assert "store" not in of_chat(user(), profile=Profile(stored=False))[0]


def test_encrypted_reasoning_is_asked_for_of_models_that_reason() -> None:
    assert of_chat(user())[0]["include"] == ["reasoning.encrypted_content"]
    out, losses = of_chat(user(), reasoning_effort="high", profile=Profile(reasoning_effort=False))
    assert not {"include", "reasoning"}.intersection(out)
    assert set(losses) == {"reasoning_effort"}


def test_a_summary_is_asked_for_only_where_the_client_sees_it() -> None:
    assert of_chat(user(), reasoning_effort="high")[0]["reasoning"] == {"effort": "high"}
    hidden = {"type": "adaptive", "display": "omitted"}
    assert of_anthropic(user(), thinking=hidden)[0]["reasoning"] == {"effort": "high"}
    shown = {"type": "enabled", "budget_tokens": 1024}
    assert of_anthropic(user(), thinking=shown)[0]["reasoning"] == {"effort": "low", "summary": "auto"}
    assert of_anthropic(user(), thinking=shown, profile=Profile(reasoning_summary=False))[0]["reasoning"] == {"effort": "low"}


def test_reasoning_of_the_target_itself_goes_back_before_the_call_it_led_to() -> None:
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "anyllm:openai_responses:rs_1:gAAAAB"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    result = user([{"type": "tool_result", "tool_use_id": "t", "content": "1"}])
    body = {"model": "m", "max_tokens": 100, "messages": [user(), {"role": "assistant", "content": blocks}, result]}
    request = anthropic_request.read_request(json.dumps(body).encode(), Losses())
    thought = request.turns[1].parts[0]
    assert isinstance(thought, Thinking)
    thought.origin, thought.signature = "openai_responses", type(thought.text)(b'"rs_1:gAAAAB"')
    losses = Losses()
    out = json.loads(openai_responses_request.write_request(request, "m", Profile(), losses))
    summary = [{"type": "summary_text", "text": "t"}]
    assert out["input"][1] == {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAAAB"}
    assert [item["type"] for item in out["input"]] == ["message", "reasoning", "function_call", "function_call_output"]
    assert not losses


def test_reasoning_of_another_vendor_is_left_out_and_announced() -> None:
    blocks = [{"type": "thinking", "thinking": "t", "signature": "EqQB"}, {"type": "text", "text": "a"}]
    out, losses = of_anthropic(user(), {"role": "assistant", "content": blocks}, user())
    assert "EqQB" not in json.dumps(out)
    assert set(losses) == {"messages.1.content.0"}


def test_the_system_prompt_is_instructions_and_later_ones_are_developer_messages() -> None:
    out, _ = of_chat(
        {"role": "system", "content": "1"},
        {"role": "developer", "content": "2"},
        user(),
        {"role": "system", "content": "3"},
        user(),
    )
    assert out["instructions"] == "1\n2"
    assert [item["role"] for item in out["input"]] == ["user", "developer", "user"]


def test_where_any_json_is_asked_for_the_prompt_that_says_so_is_in_the_input() -> None:
    """The API refuses json_object unless the input says json, and instructions are no input."""
    out, _ = of_chat({"role": "system", "content": "Answer in JSON"}, user(), response_format={"type": "json_object"})
    assert "instructions" not in out
    assert out["input"][0]["role"] == "developer"
    assert out["text"] == {"format": {"type": "json_object"}}


def test_pictures_and_files_of_a_result_stay_in_the_result() -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}
    content = [
        {"type": "text", "text": "x"},
        {"type": "image", "source": source},
        {"type": "document", "source": pdf, "title": "A"},
    ]
    out, losses = of_anthropic(user(), use, user([{"type": "tool_result", "tool_use_id": "t", "content": content}]))
    assert out["input"][2]["output"] == [
        {"type": "input_text", "text": "x"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_file", "filename": "A.pdf", "file_data": "data:application/pdf;base64,BBBB"},
    ]
    assert not losses


def test_a_document_by_its_url_is_sent_by_its_url() -> None:
    document = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    out, _ = of_anthropic(user([document]))
    assert out["input"][0]["content"] == [{"type": "input_file", "file_url": "https://example.com/a.pdf"}]


def test_sound_is_refused_with_its_path() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(InvalidRequest, match=r"^messages.0.content.0: the target takes no audio"):
        of_chat(user([audio]))


def test_a_picture_that_a_model_made_is_shown_to_it_by_the_user() -> None:
    picture = Media(kind="image", data=json_raw("AAAA"), media_type="image/png")
    turns = [Turn(role="user", parts=[Text(text=json_raw("x"))]), Turn(role="assistant", parts=[picture])]
    turns.append(Turn(role="user", parts=[Text(text=json_raw("y"))]))
    out = json.loads(openai_responses_request.write_request(Request(model="m", turns=turns), "m", Profile(), Losses()))
    assert [item["role"] for item in out["input"]] == ["user", "assistant", "user"]
    assert out["input"][2]["content"][1]["image_url"] == "data:image/png;base64,AAAA"


def json_raw(text: str) -> Any:
    from msgspec import Raw

    return Raw(json.dumps(text).encode())


def test_a_function_is_strict_only_if_it_says_so_and_can_be() -> None:
    """The API takes a function without `strict` for a strict one."""
    open_one = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    closed = {"type": "function", "function": {"name": "g", "parameters": CLOSED, "strict": True}}
    bare = {"type": "function", "function": {"name": "h"}}
    out, losses = of_chat(user(), tools=[open_one, closed, bare])
    assert [tool["strict"] for tool in out["tools"]] == [False, True, False]
    assert set(losses) == {"tools.0"}


def test_free_form_tools_go_natively_where_the_host_takes_them() -> None:
    tool = {
        "type": "custom",
        "custom": {"name": "p", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
    }
    answer = {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "p", "input": "text"}}]}
    messages = [user(), answer, {"role": "tool", "tool_call_id": "c", "content": "ok"}]
    out, _ = of_chat(*messages, tools=[tool], profile=Profile(custom_tools=True))
    assert out["tools"] == [{"type": "custom", "name": "p", "format": without_grammar(tool)}]
    assert out["input"][1] == {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "text"}
    assert out["input"][2]["type"] == "custom_tool_call_output"
    out, _ = of_chat(*messages, tools=[tool])
    assert out["tools"][0]["type"] == "function"
    assert json.loads(out["input"][1]["arguments"]) == {"input": "text"}


def without_grammar(tool: Json) -> Json:
    return {"type": "grammar", **tool["custom"]["format"]["grammar"]}


def test_a_forced_web_search_is_forced_by_allowing_nothing_else() -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    out, losses = of_anthropic(user(), tools=tools, tool_choice={"type": "tool", "name": "web_search"})
    assert out["tools"] == [{"type": "web_search"}]
    assert out["tool_choice"] == {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    assert not losses


def test_a_limit_that_the_target_refuses_is_raised_and_announced() -> None:
    out, losses = of_anthropic(user(), max_tokens=1)
    assert out["max_output_tokens"] == 16
    assert set(losses) == {"max_tokens"}


def test_ids_of_calls_fit_and_stay_paired() -> None:
    long = "toolu_" + "x" * 80
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "f", "input": {}}]}
    out, _ = of_anthropic(user(), use, user([{"type": "tool_result", "tool_use_id": long, "content": "1"}]))
    first, second = out["input"][1]["call_id"], out["input"][2]["call_id"]
    assert first == second
    assert len(first) <= 64
