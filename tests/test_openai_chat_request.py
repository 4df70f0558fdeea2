"""Chat Completions requests: what the reader takes and refuses, and what an Anthropic target gets of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anyllm_fast.dialects.anthropic_request import write_request
from anyllm_fast.dialects.openai_chat_request import read_request
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.requests import answer, asked, assistant, call, function, refusal, talked, to_anthropic, user

BUDGET = Profile(adaptive_thinking=False)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
SIGNED = [{"type": "thinking", "thinking": "t", "signature": "RXJl", "index": 0}, {"type": "redacted_thinking", "data": "UkVE"}]


def lost(body: dict[str, Any], profile: Profile | None = None) -> set[str]:
    return set(to_anthropic(body, profile or Profile())[1])


def messages(body: dict[str, Any], profile: Profile | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = to_anthropic(body, profile or Profile())[0]["messages"]
    return sent


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"model": "m"}, "messages: required: expected an array"),
        ({"model": None, "messages": []}, "model: required: expected a string"),
        (
            talked({"role": "robot", "content": "x"}),
            "messages.0.role: expected system, developer, user, assistant, tool, function",
        ),
        (talked({"role": "user", "content": None}), "messages.0.content: required: expected a string or an array"),
        (talked({"role": "user", "content": {}}), "messages.0.content: expected a string or an array, got an object"),
        (asked([{"type": "text"}]), "messages.0.content.0.text: required: expected a string"),
        (asked([{"type": "image_url", "image_url": 5}]), "messages.0.content.0.image_url: expected an object, got an integer"),
        (asked([{"type": "file", "file": {}}]), "messages.0.content.0.file: required: expected file_data or file_id"),
        (talked({"role": "tool", "content": "x"}), "messages.0.tool_call_id: required: expected a string"),
        (talked(assistant(tool_calls=[{"type": "function"}])), "messages.0.tool_calls.0.id: required: expected a string"),
        (talked(assistant(tool_calls=[{"id": "a"}])), "messages.0.tool_calls.0.function: required: expected an object"),
        (
            talked(assistant(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": 5}}])),
            "messages.0.tool_calls.0.function.arguments: expected a string, got an integer",
        ),
        (talked({"role": "function", "name": "f", "content": "x"}), "messages.0: no function_call before it"),
        (asked(stop=5), "stop: expected a string or an array, got an integer"),
        (asked(stop=[5]), "stop.0: expected a string, got an integer"),
        (asked(tools=[{"type": "function"}]), "tools.0.function: required: expected an object"),
        (asked(tools=[{"type": "function", "function": {}}]), "tools.0.function.name: required: expected a string"),
        (asked(tool_choice="some"), "tool_choice: expected none, auto, required or an object, got 'some'"),
        (asked(tool_choice={"type": "function", "function": {}}), "tool_choice.function.name: required: expected a string"),
        (asked(response_format={"type": "json_schema"}), "response_format.json_schema: required: expected an object"),
        (asked(stream_options={"include_usage": 1}), "stream_options.include_usage: expected true or false, got an integer"),
        (asked(reasoning_effort=5), "reasoning_effort: expected a string, got an integer"),
        (asked(max_completion_tokens="5"), "max_completion_tokens: expected a number, got a string"),
    ],
)
def test_a_wrong_or_missing_member_is_refused_with_its_path(body: dict[str, Any], said: str) -> None:
    assert refusal(to_anthropic, body).startswith(said)


def test_a_request_without_a_limit_gets_the_targets_default() -> None:
    body = {"model": "m", "messages": [user("hi")]}
    assert to_anthropic(body, Profile(default_max_tokens=777)) == (
        {"model": "m", "max_tokens": 777, "messages": [user("hi")]},
        {},
    )


def test_the_newer_limit_counts_where_both_are_given() -> None:
    sent, losses = to_anthropic(asked(max_completion_tokens=5))
    assert sent["max_tokens"] == 5 and losses.keys() == {"max_tokens"}


def test_parameters_without_an_equal_are_announced() -> None:
    params = {
        "seed": 1,
        "n": 2,
        "logprobs": True,
        "logit_bias": {"1": 2},
        "presence_penalty": 1,
        "store": True,
        "verbosity": "low",
    }
    sent, losses = to_anthropic(asked(**params))
    assert sent.keys() == {"model", "max_tokens", "messages"} and losses.keys() == params.keys()


def test_a_documented_default_is_no_loss() -> None:
    params = {"n": 1, "logprobs": False, "presence_penalty": 0.0, "store": False, "modalities": ["text"], "verbosity": "medium"}
    quiet = {
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "top_p": 1,
        "temperature": 1,
    }
    assert lost(asked(**params, **quiet, response_format={"type": "text"}, parallel_tool_calls=True)) == set()


def test_a_number_leaves_as_it_was_written() -> None:
    losses = Losses()
    body = b'{"model":"m","temperature":0.90,"messages":[]}'
    assert b'"temperature":0.90' in write_request(read_request(body, losses), "m", Profile(), losses)


class TestSystem:
    def test_leading_messages_become_the_system_prompt(self) -> None:
        sent, _ = to_anthropic(talked({"role": "system", "content": "a"}, user("x")))
        assert sent["system"] == "a" and sent["messages"] == [user("x")]
        both = talked({"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, user("x"))
        assert to_anthropic(both)[0]["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    def test_later_ones_are_marked_and_go_as_the_users_words(self) -> None:
        body = talked(user("1"), assistant("a"), {"role": "system", "content": "s"}, user("2"))
        assert messages(body)[2]["content"] == [
            {"type": "text", "text": "<system>\ns\n</system>"},
            {"type": "text", "text": "2"},
        ]

    def test_newest_models_take_them_behind_a_user_turn(self) -> None:
        body = talked(user("1"), {"role": "system", "content": "s"}, assistant("a"), user("2"))
        assert messages(body, Profile(system_turns=True))[1] == {"role": "system", "content": "s"}

    def test_a_prompt_alone_is_asked_as_a_question(self) -> None:
        sent, _ = to_anthropic(talked({"role": "system", "content": "a"}))
        assert sent["messages"] == [user("a")] and "system" not in sent

    def test_nothing_to_say_is_refused(self) -> None:
        assert refusal(to_anthropic, talked(user(""), assistant(""))).startswith("messages: there is no text")


class TestTurns:
    def test_neighbours_of_one_role_become_one_turn(self) -> None:
        sent = messages(talked(user("a"), user([{"type": "text", "text": "b"}]), assistant("c"), assistant("d"), user("e")))
        assert [message["role"] for message in sent] == ["user", "assistant", "user"]
        assert sent[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    def test_blank_texts_are_left_out(self) -> None:
        texts = [{"type": "text", "text": text} for text in ("", " \n\t", "a")]
        assert messages(talked(user(texts), assistant(" "), user("b"))) == [
            user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
        ]

    def test_results_of_all_calls_are_one_user_turn_in_the_order_of_the_calls(self) -> None:
        calls = [call("call_1"), call("call_2")]
        body = talked(user("x"), assistant(None, tool_calls=calls), answer("call_2", "two"), answer("call_1", "one"), user("y"))
        sent = messages(body)
        assert [block["id"] for block in sent[1]["content"]] == ["call_1", "call_2"]
        assert sent[2]["content"] == [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "two"},
            {"type": "text", "text": "y"},
        ]

    def test_text_of_an_answer_that_comes_after_its_calls_goes_before_them(self) -> None:
        sent = messages(talked(user("x"), assistant(None, tool_calls=[call("call_1")]), assistant("I look."), answer("call_1")))
        assert [block["type"] for block in sent[1]["content"]] == ["text", "tool_use"]

    def test_a_missing_result_is_refused(self) -> None:
        said = refusal(to_anthropic, talked(user("x"), assistant(None, tool_calls=[call("call_1")]), user("y")))
        assert said.startswith('messages.1.tool_calls.0: no result for the tool call "call_1"')
        assert refusal(to_anthropic, talked(user("x"), answer("call_1"))).startswith("messages.1: no tool call before it")

    @pytest.mark.parametrize(
        ("arguments", "given"),
        [
            ('{"z":1.50,  "a":"\\u00e4"}', b'{"z":1.50,  "a":"\\u00e4"}'),
            ("", b"{}"),
            (" \n", b"{}"),
            ('```json\n{"a":1}\n```', b'{"a":1}'),
            ("[1]", b'{"_raw":[1]}'),
            ("{broken", b'{"_raw_error":"{broken"}'),
            ("[" * 50_000, b'{"_raw_error":"' + b"[" * 50_000 + b'"}'),
        ],
    )
    def test_arguments_become_the_object_that_they_hold(self, arguments: str, given: bytes) -> None:
        losses = Losses()
        body = json.dumps(talked(user("x"), assistant(None, tool_calls=[call("c", "f", arguments)]), answer("c"))).encode()
        assert b'"input":' + given + b"}" in write_request(read_request(body, losses), "m", Profile(), losses)

    def test_arguments_given_as_an_object_are_taken(self) -> None:
        spoken = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
        assert messages(talked(user("x"), assistant(None, tool_calls=[spoken]), answer("c")))[1]["content"][0]["input"] == {
            "a": 1
        }

    def test_ids_that_the_target_refuses_are_replaced_on_both_sides(self) -> None:
        ident = "functions.Bash:0"
        body = talked(
            user("x"), assistant(None, tool_calls=[call(ident)]), answer(ident), assistant(None, tool_calls=[call(ident)])
        )
        body["messages"].append(answer(ident))
        sent = messages(body)
        used = [block["id"] for message in sent for block in message["content"] if isinstance(block, dict) and "id" in block]
        told = [
            block["tool_use_id"]
            for message in sent
            for block in message["content"]
            if isinstance(block, dict) and "tool_use_id" in block
        ]
        assert used == told and len(set(used)) == 2 and all(set(each) <= set("abcdef0123456789_cl") for each in used)

    def test_signed_reasoning_goes_back_as_it_came_and_first(self) -> None:
        sent, losses = to_anthropic(talked(user("x"), assistant("a", thinking_blocks=SIGNED, reasoning_content="t"), user("y")))
        assert sent["messages"][1]["content"][:2] == [{k: v for k, v in block.items() if k != "index"} for block in SIGNED]
        assert not losses

    def test_unsigned_reasoning_is_announced_because_the_target_refuses_it(self) -> None:
        sent, losses = to_anthropic(talked(user("x"), assistant("a", reasoning_content="t"), user("y")))
        assert sent["messages"][1] == assistant("a") and losses.keys() == {"messages.1.reasoning_content"}

    def test_a_begun_answer_does_not_end_in_white_space(self) -> None:
        assert messages(talked(user("x"), assistant("So \\n: \n ")))[1] == assistant("So \\n:")
        assert messages(talked(user("x"), assistant("So:\n ")))[1] == assistant("So:")
        assert messages(talked(user("x"), assistant("back\\n")))[1] == assistant("back\\n")

    def test_names_and_refusals_and_details(self) -> None:
        image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
        body = talked({**user([image]), "name": "ada"}, assistant(None, refusal="I will not."), user("y"))
        sent, losses = to_anthropic(body)
        assert sent["messages"][1]["content"] == [{"type": "text", "text": "I will not."}]
        assert losses.keys() == {"messages.0.name", "messages.0.content.0.image_url.detail"}

    def test_the_older_form_of_calls_is_read(self) -> None:
        body = talked(
            user("x"),
            assistant(None, function_call={"name": "f", "arguments": '{"a":1}'}),
            {"role": "function", "name": "f", "content": "done"},
            functions=[{"name": "f"}],
            function_call="auto",
        )
        sent, losses = to_anthropic(body)
        assert sent["messages"][1]["content"] == [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}]
        assert sent["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "call_1", "content": "done"}]
        assert sent["tool_choice"] == {"type": "auto"} and not losses


class TestMedia:
    def test_images_by_data_and_by_url(self) -> None:
        parts = [{"type": "image_url", "image_url": {"url": url}} for url in (PIXEL, "https://example.com/a.png")]
        assert messages(asked(parts))[0]["content"] == [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        ]

    def test_escaped_slashes_in_a_data_url_are_understood(self) -> None:
        part = rb'{"type":"image_url","image_url":"data:image\/png;base64,a\/b="}'
        body = b'{"model":"m","messages":[{"role":"user","content":[' + part + b"]}]}"
        source = to_anthropic(body)[0]["messages"][0]["content"][0]["source"]
        assert source == {"type": "base64", "media_type": "image/png", "data": "a/b="}

    @pytest.mark.parametrize(
        ("data", "source"),
        [
            ("data:application/pdf;base64,JVBERi0=", {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}),
            ("data:text/csv;base64,YSxi", {"type": "text", "media_type": "text/plain", "data": "a,b"}),
            ("JVBERi0=", {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}),
        ],
    )
    def test_files_become_documents(self, data: str, source: dict[str, Any]) -> None:
        part = {"type": "file", "file": {"file_data": data, "filename": "a.pdf"}}
        assert messages(asked([part]))[0]["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2Zz4="}},
            {"type": "image_url", "image_url": {"url": "data:,hello"}},
            {"type": "file", "file": {"file_data": "data:application/zip;base64,UEs=", "filename": "a.zip"}},
            {"type": "file", "file": {"file_data": "data:text/plain;base64,//8=", "filename": "a.txt"}},
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        ],
    )
    def test_content_that_the_target_cannot_be_given_is_refused(self, part: dict[str, Any]) -> None:
        assert refusal(to_anthropic, asked([part])).startswith("messages.0.content.0: ")

    def test_a_video_that_the_target_cannot_fetch_is_named_and_that_is_announced(self) -> None:
        sent, losses = to_anthropic(asked([{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}]))
        assert sent["messages"][0]["content"] == [{"type": "text", "text": "[video: https://example.com/a.mp4]"}]
        assert set(losses) == {"messages.0.content.0"}

    def test_an_earlier_spoken_answer_is_said_to_have_been_there_and_announced(self) -> None:
        sent, losses = to_anthropic(talked(user("x"), assistant(audio={"id": "audio_1"}), user("y")))
        assert sent["messages"][1]["content"] == [{"type": "text", "text": "[spoken answer audio_1]"}]
        assert set(losses) == {"messages.1.audio.id"}

    def test_a_picture_that_the_model_made_follows_in_the_next_user_message(self) -> None:
        made = assistant("here", images=[{"type": "image_url", "image_url": {"url": PIXEL}, "index": 0}], tool_calls=[call("c")])
        said, shown = messages(talked(user("x"), made, answer("c"), user("nice")))[1:]
        assert [block.get("text", block["type"]) for block in said["content"]] == [
            "here",
            "[image 1 of this answer is in the next user message]",
            "tool_use",
        ]
        assert [block.get("text", block["type"]) for block in shown["content"]] == [
            "tool_result",
            "[image 1 of the answer before]",
            "image",
            "nice",
        ]

    def test_an_image_in_a_result_stays_in_it(self) -> None:
        shot = answer("c", [{"type": "image_url", "image_url": {"url": PIXEL}}])
        content = messages(talked(user("x"), assistant(None, tool_calls=[call("c")]), shot))[2]["content"]
        assert [block["type"] for block in content[0]["content"]] == ["image"]


class TestTools:
    def test_a_function_without_parameters_takes_none(self) -> None:
        sent, _ = to_anthropic(asked(tools=[function(strict=True)]))
        assert sent["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}, "strict": True}]

    @pytest.mark.parametrize(
        ("choice", "said"),
        [
            ("auto", {"type": "auto"}),
            ("required", {"type": "any"}),
            ("none", {"type": "none"}),
            ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ],
    )
    def test_every_form_of_choice_and_one_call_at_a_time(self, choice: Any, said: dict[str, Any]) -> None:
        assert to_anthropic(asked(tools=[function()], tool_choice=choice))[0]["tool_choice"] == said
        alone = to_anthropic(asked(tools=[function()], tool_choice=choice, parallel_tool_calls=False))[0]["tool_choice"]
        assert alone == (said if choice == "none" else {**said, "disable_parallel_tool_use": True})

    def test_one_call_at_a_time_needs_no_choice(self) -> None:
        sent, _ = to_anthropic(asked(tools=[function()], parallel_tool_calls=False))
        assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
        assert "tool_choice" not in to_anthropic(asked(parallel_tool_calls=False))[0]

    def test_allowed_tools_are_the_only_ones_sent(self) -> None:
        allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]}
        choice = {"type": "allowed_tools", "allowed_tools": allowed}
        sent, _ = to_anthropic(asked(tools=[function(), function("g")], tool_choice=choice))
        assert [tool["name"] for tool in sent["tools"]] == ["g"] and sent["tool_choice"] == {"type": "auto"}

    def test_a_free_form_tool_and_its_calls_are_a_function_with_one_text(self) -> None:
        grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: "a"'}}
        free = {"type": "custom", "custom": {"name": "c", "description": "d", "format": grammar}}
        sent, losses = to_anthropic(asked(tools=[free], tool_choice={"type": "custom", "custom": {"name": "c"}}))
        (tool,) = sent["tools"]
        assert (tool["name"], tool["input_schema"]["required"], losses) == ("c", ["input"], {})
        assert tool["description"] == 'd\n\nThe input has to follow this lark grammar:\nstart: "a"'
        assert sent["tool_choice"] == {"type": "tool", "name": "c"}
        spoken = {"id": "c", "type": "custom", "custom": {"name": "c", "input": "free"}}
        assert messages(talked(user("x"), assistant(None, tool_calls=[spoken]), answer("c")))[1]["content"][0]["input"] == {
            "input": "free"
        }

    def test_a_name_that_does_not_fit_gets_the_same_alias_everywhere(self) -> None:
        alias = to_anthropic(asked(tools=[function("a.b")]))[0]["tools"][0]["name"]
        assert alias.startswith("a_b_")
        spoken = assistant(None, tool_calls=[call("c", "a.b")])
        sent, _ = to_anthropic(talked(user("x"), spoken, answer("c")))
        assert sent["messages"][1]["content"][0]["name"] == alias

    def test_a_conversation_that_the_assistant_opens_gets_a_user_before_it(self) -> None:
        sent, losses = to_anthropic(talked(assistant("hello"), user("hi")))
        assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"] and not losses

    def test_tools_of_the_target_asked_for_by_its_own_names_pass(self) -> None:
        search = {"type": "web_search_20250305", "name": "web_search"}
        assert to_anthropic(asked(tools=[search]))[0]["tools"] == [search]
        assert lost(asked(tools=[{"type": "of_tomorrow"}])) == {"tools.0"}

    def test_a_web_search_is_a_tool(self) -> None:
        place = {"type": "approximate", "approximate": {"city": "Bern"}}
        sent, losses = to_anthropic(asked(web_search_options={"search_context_size": "medium", "user_location": place}))
        where = {"type": "approximate", "city": "Bern"}
        assert sent["tools"] == [{"type": "web_search_20250305", "name": "web_search", "user_location": where}] and not losses


class TestThinking:
    @pytest.mark.parametrize(
        ("effort", "word"), [("minimal", "low"), ("low", "low"), ("high", "high"), ("xhigh", "xhigh"), ("max", "max")]
    )
    def test_effort_guides_adaptive_thinking(self, effort: str, word: str) -> None:
        sent, losses = to_anthropic(asked(reasoning_effort=effort))
        assert sent["thinking"] == {"type": "adaptive"} and sent["output_config"] == {"effort": word} and not losses

    @pytest.mark.parametrize(
        ("effort", "budget"), [("minimal", 1024), ("low", 1024), ("medium", 2048), ("high", 4096), ("max", 16384)]
    )
    def test_effort_is_a_budget_for_older_models(self, effort: str, budget: int) -> None:
        sent, losses = to_anthropic(asked(reasoning_effort=effort, max_completion_tokens=20000, max_tokens=None), BUDGET)
        assert sent["thinking"] == {"type": "enabled", "budget_tokens": budget} and sent["max_tokens"] == 20000 and not losses

    def test_a_budget_gives_way_to_the_limit_and_below_the_least_the_limit_is_raised(self) -> None:
        sent, losses = to_anthropic(asked(reasoning_effort="high"), BUDGET)
        assert (sent["max_tokens"], sent["thinking"]["budget_tokens"]) == (2000, 1024) and not losses
        sent, losses = to_anthropic(asked(reasoning_effort="high", max_tokens=100), BUDGET)
        assert (sent["max_tokens"], sent["thinking"]["budget_tokens"]) == (1124, 1024) and losses.keys() == {"max_tokens"}

    def test_none_turns_it_off_where_it_can_be(self) -> None:
        assert to_anthropic(asked(reasoning_effort="none"))[0]["thinking"] == {"type": "disabled"}
        sent, losses = to_anthropic(asked(reasoning_effort="none"), Profile(thinking_off=False))
        assert sent["output_config"] == {"effort": "low"} and losses.keys() == {"reasoning_effort"}

    def test_a_forced_tool_counts_more_than_thinking(self) -> None:
        sent, losses = to_anthropic(asked(reasoning_effort="high", tools=[function()], tool_choice="required"))
        assert "thinking" not in sent and sent["tool_choice"] == {"type": "any"} and losses.keys() == {"reasoning_effort"}

    def test_a_tool_loop_without_signed_reasoning_goes_on_without_thinking(self) -> None:
        calls = {"tool_calls": [call("c")]}
        unsigned = talked(user("x"), assistant(None, **calls), answer("c"), reasoning_effort="low")
        sent, losses = to_anthropic(unsigned, BUDGET)
        assert "thinking" not in sent and losses.keys() == {"reasoning_effort"}
        signed = talked(user("x"), assistant(None, thinking_blocks=SIGNED, **calls), answer("c"), reasoning_effort="low")
        assert to_anthropic(signed, BUDGET)[0]["thinking"]["type"] == "enabled"

    def test_sampling_gives_way_to_thinking(self) -> None:
        sent, losses = to_anthropic(asked(reasoning_effort="low", temperature=0.5, top_p=0.5, top_k=5))
        assert not {"temperature", "top_p", "top_k"} & sent.keys() and losses.keys() == {"temperature", "top_p", "top_k"}
        assert to_anthropic(asked(reasoning_effort="low", temperature=1, top_p=0.97))[0]["top_p"] == 0.97


class TestParameters:
    def test_a_temperature_above_one_is_clamped_and_announced(self) -> None:
        sent, losses = to_anthropic(asked(temperature=1.7))
        assert sent["temperature"] == 1 and losses.keys() == {"temperature"}
        assert to_anthropic(asked(temperature=0.7))[1] == {}

    def test_temperature_and_top_p_together_only_for_models_that_take_both(self) -> None:
        assert lost(asked(temperature=0.5, top_p=0.5)) == {"top_p"}
        assert lost(asked(temperature=0.5, top_p=0.5), Profile(temperature_with_top_p=True)) == set()
        assert lost(asked(temperature=0.5, top_p=0.5), Profile(samples=False)) == {"temperature", "top_p"}

    def test_stop_sequences(self) -> None:
        assert to_anthropic(asked(stop="END"))[0]["stop_sequences"] == ["END"]
        sent, losses = to_anthropic(asked(stop=["END", "\n\n"]))
        assert sent["stop_sequences"] == ["END"] and losses.keys() == {"stop"}
        assert "stop_sequences" not in to_anthropic(asked(stop=["\n"]))[0]

    @pytest.mark.parametrize(
        ("user_id", "passes"), [("u-1", True), ("ada@example.com", False), ("+41 44 123 45 67", False), ("x" * 300, False)]
    )
    def test_a_user_id_that_the_target_would_refuse_goes_as_its_hash(self, user_id: str, passes: bool) -> None:
        sent, losses = to_anthropic(asked(user=user_id))
        assert (sent["metadata"]["user_id"] == user_id) is passes and not losses
        assert to_anthropic(asked(safety_identifier=user_id))[0]["metadata"] == sent["metadata"]

    def test_service_tiers_that_both_have(self) -> None:
        assert to_anthropic(asked(service_tier="default"))[0]["service_tier"] == "standard_only"
        assert lost(asked(service_tier="flex")) == {"service_tier"}

    def test_a_schema_is_enforced_and_carries_its_name(self) -> None:
        schema = {"type": "object", "properties": {}, "additionalProperties": False}
        shape = {"name": "n", "description": "d", "schema": schema, "strict": True}
        sent, losses = to_anthropic(asked(response_format={"type": "json_schema", "json_schema": shape}))
        said = {"type": "json_schema", "schema": {"title": "n", "description": "d", **schema}}
        assert sent["output_config"] == {"format": said} and not losses

    def test_json_without_a_schema_is_asked_for_in_words_and_announced(self) -> None:
        sent, losses = to_anthropic(asked(response_format={"type": "json_object"}))
        assert "one JSON object" in sent["system"][-1]["text"] and losses.keys() == {"response_format"}

    def test_cache_marks_in_either_spelling(self) -> None:
        ours = {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}
        theirs = {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}
        content = messages(asked([ours, theirs]))[0]["content"]
        assert [block["cache_control"] for block in content] == [{"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}]
        whole = {**user("a"), "cache_control": {"type": "ephemeral"}}
        assert messages(talked(whole))[0]["content"] == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]

    def test_more_marks_than_the_target_takes_and_their_lives_in_order(self) -> None:
        parts = [{"type": "text", "text": str(number), "prompt_cache_breakpoint": {"mode": "explicit"}} for number in range(6)]
        parts[4]["prompt_cache_breakpoint"] = {"mode": "explicit", "ttl": "30m"}
        sent, losses = to_anthropic(asked(parts))
        marks = [
            block.get("cache_control", {}).get("ttl", "") for block in sent["messages"][0]["content"] if "cache_control" in block
        ]
        assert marks == ["1h", "1h", "1h", ""]
        assert losses.keys() == {"messages.0.content.0.prompt_cache_breakpoint", "messages.0.content.1.prompt_cache_breakpoint"}

    def test_messages_come_last(self) -> None:
        sent, _ = to_anthropic(
            talked({"role": "system", "content": "s"}, user("x"), tools=[function()], temperature=0.5, user="u")
        )
        assert list(sent)[-1] == "messages"
