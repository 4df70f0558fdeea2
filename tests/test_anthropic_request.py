"""Anthropic requests: what the reader takes and refuses, and what a Chat target gets of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anyllm_fast.dialects import anthropic_request
from anyllm_fast.dialects.anthropic_request import read_request
from anyllm_fast.dialects.openai_chat_request import write_request
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.requests import asked, assistant, refusal, result, talked, to_chat, tool, use, user

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def lost(body: dict[str, Any], profile: Profile | None = None) -> set[str]:
    return set(to_chat(body, profile or Profile())[1])


def messages(body: dict[str, Any], profile: Profile | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = to_chat(body, profile or Profile())[0]["messages"]
    return sent


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"model": 1, "messages": []}, "model: expected a string, got an integer"),
        ({"messages": []}, "model: required: expected a string"),
        ({"model": "m"}, "messages: required: expected an array"),
        ({"model": "m", "messages": {}}, "messages: expected an array, got an object"),
        (talked({"content": "x"}), "messages.0.role: required: expected a string"),
        (talked({"role": "tool", "content": "x"}), "messages.0.role: expected user, assistant or system, got 'tool'"),
        (talked({"role": "user"}), "messages.0.content: required: expected a string or an array"),
        (talked(user(5)), "messages.0.content: expected a string or an array, got an integer"),
        (talked(user("a"), user(["x"])), "messages.1.content.0: expected an object, got a string"),
        (asked([{"text": "x"}]), "messages.0.content.0.type: required: expected a string"),
        (asked([{"type": "text", "text": 1}]), "messages.0.content.0.text: expected a string, got an integer"),
        (asked([{"type": "image"}]), "messages.0.content.0.source: required: expected an object"),
        (asked([{"type": "image", "source": {"type": "text", "data": "x"}}]), "messages.0.content.0.source.type: an image"),
        (asked([{"type": "tool_result"}]), "messages.0.content.0.tool_use_id: required: expected a string"),
        (asked(system=[{"type": "image"}]), "system.0.type: a system prompt is made of text blocks, not of 'image'"),
        (asked(max_tokens=-1), "max_tokens: must not be negative"),
        (asked(max_tokens=1.5), "max_tokens: expected an integer, got a number with a fraction"),
        (asked(temperature="hot"), "temperature: expected a number, got a string"),
        (asked(stop_sequences="x"), "stop_sequences: expected an array, got a string"),
        (asked(stop_sequences=["x", 1]), "stop_sequences.1: expected a string, got an integer"),
        (asked(tools=[{"name": "f"}]), "tools.0.input_schema: required: expected an object"),
        (asked(tools=[tool(input_schema="x")]), "tools.0.input_schema: expected an object, got a string"),
        (asked(tool_choice={"type": "some"}), "tool_choice.type: expected auto, any, tool or none, got 'some'"),
        (asked(thinking={"type": "enabled"}), "thinking.budget_tokens: required: expected an integer"),
        (asked(thinking={"type": "hard"}), "thinking.type: expected enabled, adaptive, between_tools or disabled, got 'hard'"),
        (asked(stream="yes"), "stream: expected true or false, got a string"),
        (asked(metadata={"user_id": 1}), "metadata.user_id: expected a string, got an integer"),
    ],
)
def test_a_wrong_or_missing_member_is_refused_with_its_path(body: dict[str, Any], said: str) -> None:
    assert refusal(to_chat, body).startswith(said)


def test_nan_and_numbers_beyond_a_double_are_refused() -> None:
    body = b'{"model":"m","messages":[],"top_p":%b}'
    assert "not valid JSON" in refusal(to_chat, body % b"NaN")
    assert refusal(to_chat, body % b"1e400") == "top_p: a number too large to be carried"


def test_a_request_to_count_tokens_has_no_limit() -> None:
    assert read_request(b'{"model":"m","messages":[]}', Losses()).max_tokens is None


def test_a_type_spelled_with_escapes_is_the_same_type() -> None:
    body = rb'{"model":"m","messages":[{"role":"user","content":[{"type":"te\u0078t","text":"hi"}]}]}'
    assert to_chat(body)[0]["messages"] == [user("hi")]


def test_a_number_leaves_as_it_was_written() -> None:
    body = b'{"model":"m","max_tokens":5,"top_p":0.9,"temperature":0.10,"messages":[]}'

    losses = Losses()
    assert b'"temperature":0.10,"top_p":0.9' in write_request(read_request(body, losses), "m", Profile(), losses)


def test_the_limit_goes_out_under_one_name_only() -> None:
    sent, _ = to_chat(asked())
    assert sent["max_completion_tokens"] == 2000 and "max_tokens" not in sent
    sent, _ = to_chat(asked(), Profile(max_tokens_field="max_tokens"))
    assert sent["max_tokens"] == 2000 and "max_completion_tokens" not in sent


def test_a_limit_of_zero_asks_for_one_token_and_says_so() -> None:
    sent, losses = to_chat(asked(max_tokens=0))
    assert sent["max_completion_tokens"] == 1 and "max_tokens" in losses


def test_members_that_nobody_knows_are_announced_and_never_sent() -> None:
    sent, losses = to_chat(asked(context_management={"edits": []}, container="c", mcp_servers=[], x_new=1, betas=["b"]))
    assert sent.keys() == {"model", "max_completion_tokens", "messages"}
    assert losses.keys() == {"context_management", "container", "mcp_servers", "x_new", "betas"}


def test_a_documented_default_is_no_loss() -> None:
    plain = {**use("toolu_1"), "caller": {"type": "direct"}}
    body = talked(user("x"), assistant([plain]), user([result("toolu_1")]), speed="standard", thinking={"type": "disabled"})
    assert lost(body, Profile(reasoning_effort=False)) == set()


class TestSystem:
    def test_blocks_become_one_message_of_plain_text(self) -> None:
        body = asked(system=[{"type": "text", "text": "a"}, {"type": "text", "text": "b\n"}])
        assert messages(body)[0] == {"role": "system", "content": "a\nb\n"}

    def test_a_developer_role_is_a_fact_of_the_target(self) -> None:
        assert messages(asked(system="a"), Profile(developer_role=True))[0] == {"role": "developer", "content": "a"}

    def test_an_empty_prompt_is_left_out(self) -> None:
        assert messages(asked(system="")) == [user("hi")]

    def test_claude_codes_accounting_line_is_for_anthropic_alone(self) -> None:
        line = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cc_entrypoint=cli"}
        sent, losses = to_chat(asked(system=[line, {"type": "text", "text": "prompt"}]))
        assert sent["messages"][0]["content"] == "prompt" and not losses
        line["text"] += "\nAnd be kind."
        assert messages(asked(system=[line]))[0]["content"] == "And be kind."

    def test_cache_marks_are_kept_where_the_target_has_them(self) -> None:
        blocks = [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "b"},
        ]
        sent, losses = to_chat(asked(system=blocks), Profile(cache_breakpoints=True))
        mark = {"mode": "explicit", "ttl": "12h"}
        assert sent["messages"][0]["content"] == [
            {"type": "text", "text": "a", "prompt_cache_breakpoint": mark},
            {"type": "text", "text": "b"},
        ]
        assert not losses

    def test_system_turns_stay_where_they_are(self) -> None:
        body = talked(user("1"), {"role": "system", "content": [{"type": "text", "text": "s"}]}, assistant("a"), user("2"))
        assert [message["role"] for message in messages(body)] == ["user", "system", "assistant", "user"]

    def test_a_system_turn_that_the_model_no_longer_sees_is_left_out(self) -> None:
        fading = {"role": "system", "content": "s", "clear_at": "next_user_message"}
        assert messages(talked(user("1"), fading))[-1]["content"] == "s"
        assert messages(talked(user("1"), fading, assistant("a"), user("2"))) == [user("1"), assistant("a"), user("2")]

    @pytest.mark.parametrize(
        ("turns", "effort"),
        [
            ([user("1"), {"role": "system", "output_config": {"effort": "low"}}], "low"),
            ([{"role": "system", "content": [], "output_config": {"effort": "low"}}, user("1")], "low"),
            ([user("1"), assistant("a"), {"role": "system", "content": "x", "output_config": {"effort": "low"}}], "high"),
        ],
    )
    def test_an_effort_for_a_turn_counts_from_the_next_question_on(self, turns: list[Any], effort: str) -> None:
        assert to_chat(talked(*turns, output_config={"effort": "high"}))[0]["reasoning_effort"] == effort


class TestTools:
    def test_a_tool_keeps_its_schema_as_it_was_written(self) -> None:
        body = b'{"model":"m","messages":[],"tools":[{"name":"f","input_schema":{"type":"object", "z":1.50,"a":{}}}]}'

        losses = Losses()
        written = write_request(read_request(body, losses), "m", Profile(), losses)
        assert b'"parameters":{"type":"object", "z":1.50,"a":{}}' in written

    def test_a_forced_tool_leaves_its_schema_alone(self) -> None:
        schema = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}
        sent, _ = to_chat(asked(tools=[tool(input_schema=schema)], tool_choice={"type": "tool", "name": "f"}))
        assert sent["tools"][0]["function"] == {"name": "f", "parameters": schema}
        assert sent["tool_choice"] == {"type": "function", "function": {"name": "f"}}

    def test_a_schema_without_a_type_is_one_of_an_object(self) -> None:
        sent, _ = to_chat(asked(tools=[tool(input_schema={"x": 1})]))
        assert sent["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}, "x": 1}

    def test_strict_is_kept_only_for_schemas_that_the_target_would_take(self) -> None:
        sent, losses = to_chat(asked(tools=[tool(strict=True, input_schema=CLOSED), tool("g", strict=True)]))
        assert sent["tools"][0]["function"]["strict"] is True
        assert "strict" not in sent["tools"][1]["function"] and losses.keys() == {"tools.1.strict"}

    def test_an_empty_list_of_tools_is_left_out(self) -> None:
        assert to_chat(asked(tools=[], tool_choice={"type": "auto"})) == to_chat(asked())

    def test_deferred_tools_are_sent_once_a_search_has_found_them(self) -> None:
        tools = [tool(), tool("hidden", defer_loading=True), tool("found", defer_loading=True)]
        reference = {"type": "tool_reference", "tool_name": "found"}
        body = talked(user("x"), assistant([use("toolu_1")]), user([result("toolu_1", [reference])]), tools=tools)
        sent, losses = to_chat(body)
        assert [each["function"]["name"] for each in sent["tools"]] == ["f", "found"]
        assert sent["messages"][2]["content"] == "[tool found: found]" and not losses

    def test_all_deferred_tools_are_sent_where_their_search_cannot_run(self) -> None:
        search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
        sent, losses = to_chat(asked(tools=[search, tool("hidden", defer_loading=True)]))
        assert [each["function"]["name"] for each in sent["tools"]] == ["hidden"] and losses.keys() == {"tools.0"}

    def test_a_name_that_does_not_fit_gets_the_same_alias_everywhere(self) -> None:
        for name in ("n" * 65, "a.b", "wörk"):
            body = asked(tools=[tool(name)], tool_choice={"type": "tool", "name": name})
            sent, losses = to_chat(body)
            alias = sent["tools"][0]["function"]["name"]
            assert alias != name and len(alias) <= 64 and alias.replace("_", "").replace("-", "").isascii() and not losses
            assert sent["tool_choice"]["function"]["name"] == alias == to_chat(body)[0]["tools"][0]["function"]["name"]
        assert to_chat(asked(tools=[tool("n" * 65)]), Profile(tool_name_limit=128))[0]["tools"][0]["function"]["name"] == "n" * 65

    def test_server_tools_are_announced(self) -> None:
        sent, losses = to_chat(asked(tools=[{"type": "bash_20250124", "name": "bash"}], tool_choice={"type": "any"}))
        assert "tools" not in sent and "tool_choice" not in sent and losses.keys() == {"tools.0", "tool_choice"}

    def test_a_web_search_is_asked_for_where_the_target_can_do_it(self) -> None:
        place = {"type": "approximate", "city": "Bern"}
        search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "user_location": place}
        sent, losses = to_chat(asked(tools=[search]), Profile(web_search_options=True))
        assert sent["web_search_options"] == {"user_location": {"type": "approximate", "approximate": {"city": "Bern"}}}
        assert losses.keys() == {"tools.0.max_uses"}
        assert lost(asked(tools=[search])) == {"tools.0"}

    @pytest.mark.parametrize(
        ("choice", "word"),
        [
            ({"type": "auto"}, "auto"),
            ({"type": "any"}, "required"),
            ({"type": "none"}, "none"),
            ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ],
    )
    def test_every_form_of_choice_and_one_call_at_a_time(self, choice: dict[str, Any], word: Any) -> None:
        sent, _ = to_chat(asked(tools=[tool()], tool_choice=choice))
        assert sent["tool_choice"] == word and "parallel_tool_calls" not in sent
        if choice["type"] != "none":
            sent, _ = to_chat(asked(tools=[tool()], tool_choice={**choice, "disable_parallel_tool_use": True}))
            assert sent["parallel_tool_calls"] is False


class TestTurns:
    def test_arguments_travel_as_they_were_written(self) -> None:
        body = json.dumps(talked(user("x"), assistant([use("toolu_1", "f", {"k": 1})]), user([result("toolu_1")])))
        body = body.replace('{"k": 1}', '{"z": 1.50,  "a": "\\u00e4"}')
        assert (
            to_chat(body.encode())[0]["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"z": 1.50,  "a": "\\u00e4"}'
        )

    def test_results_follow_their_calls_in_the_order_of_the_calls(self) -> None:
        results = [{"type": "text", "text": "note"}, result("toolu_2", "two"), result("toolu_1", "one")]
        sent = messages(talked(user("x"), assistant([use("toolu_1"), use("toolu_2")]), user(results)))
        assert [(m["role"], m.get("tool_call_id"), m["content"]) for m in sent[2:]] == [
            ("tool", "toolu_1", "one"),
            ("tool", "toolu_2", "two"),
            ("user", None, "note"),
        ]

    def test_a_call_without_a_result_and_a_result_without_a_call_are_refused(self) -> None:
        body = talked(user("x"), assistant([use("toolu_1")]), user("no"))
        assert refusal(to_chat, body).startswith('messages.1.content.0: no result for the tool call "toolu_1"')
        assert refusal(to_chat, talked(user([result("toolu_1")]))).startswith("messages.0.content.0: no tool call before it")
        twice = user([result("toolu_1"), result("toolu_1", "other")])
        assert "a second result" in refusal(to_chat, talked(user("x"), assistant([use("toolu_1")]), twice))

    def test_the_same_result_twice_is_sent_once(self) -> None:
        sent = messages(talked(user("x"), assistant([use("toolu_1")]), user([result("toolu_1"), result("toolu_1")])))
        assert [message["role"] for message in sent] == ["user", "assistant", "tool"]

    def test_an_image_in_a_result_moves_to_the_next_user_message(self) -> None:
        image = {"type": "image", "source": PNG}
        body = talked(user("x"), assistant([use("toolu_1")]), user([result("toolu_1", [image]), {"type": "text", "text": "so?"}]))
        sent = messages(body)
        assert sent[2]["content"] == "[image 1 of this result is in the next user message]"
        assert [part["type"] for part in sent[3]["content"]] == ["text", "image_url", "text"]
        assert sent[3]["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw0KGgo="

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("no such file", "Error: no such file"),
            ("<tool_use_error>no</tool_use_error>", "<tool_use_error>no</tool_use_error>"),
            ("", "Error"),
        ],
    )
    def test_a_failed_result_says_that_it_failed(self, content: str, text: str) -> None:
        body = talked(user("x"), assistant([use("toolu_1")]), user([result("toolu_1", content, is_error=True)]))
        assert messages(body)[2]["content"] == text

    def test_several_texts_are_joined_for_hosts_that_take_no_arrays(self) -> None:
        texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert messages(asked(texts)) == [user(texts)]
        assert messages(asked(texts), Profile(text_arrays=False)) == [user("a\nb")]

    def test_texts_of_an_answer_are_joined_as_the_model_wrote_them(self) -> None:
        cited = [{"type": "text", "text": "It is "}, {"type": "text", "text": "so."}]
        assert messages(talked(user("x"), assistant(cited), user("y")))[1] == assistant("It is so.")
        apart = [{"type": "text", "text": "I look."}, use("toolu_1"), {"type": "text", "text": "Now."}]
        assert messages(talked(user("x"), assistant(apart), user([result("toolu_1")])))[1]["content"] == "I look.\nNow."

    def test_reasoning_goes_back_only_where_it_came_from(self) -> None:
        ours = {"type": "thinking", "thinking": "t", "signature": "anyllm:reasoning_content"}
        theirs = {"type": "thinking", "thinking": "t", "signature": "RXJl"}
        forged = {"type": "thinking", "thinking": "t", "signature": "anyllm:tool_calls"}
        text = {"type": "text", "text": "a"}
        sent, losses = to_chat(
            talked(user("x"), assistant([ours, text]), user("y"), assistant([theirs, forged, text]), user("z"))
        )
        assert sent["messages"][1]["reasoning_content"] == "t"
        assert sent["messages"][3] == assistant("a")
        assert losses.keys() == {"messages.3.content.0", "messages.3.content.1"}
        assert lost(talked(user("x"), assistant([ours, text]), user("y")), Profile(takes_reasoning=False)) == {
            "messages.1.content.0"
        }

    def test_a_begun_answer_is_sent_and_announced(self) -> None:
        sent, losses = to_chat(talked(user("x"), assistant("The answer is (")))
        assert sent["messages"][-1] == assistant("The answer is (") and losses.keys() == {"messages.1"}

    def test_a_long_id_of_a_call_becomes_a_short_one_on_both_sides(self) -> None:
        ident = "toolu_" + "x" * 60
        sent = messages(talked(user("x"), assistant([use(ident)]), user([result(ident)])))
        short = sent[1]["tool_calls"][0]["id"]
        assert len(short) <= 40 and sent[2]["tool_call_id"] == short

    def test_cache_marks_are_announced_at_every_level(self) -> None:
        mark = {"cache_control": {"type": "ephemeral"}}
        text = {"type": "text", "text": "t", **mark}
        body = talked(
            user([text]),
            assistant([{**use("toolu_1"), **mark}]),
            user([result("toolu_1", [text], **mark)]),
            system=[text],
            tools=[tool(**mark)],
            **mark,
        )
        assert lost(body) == {
            "cache_control",
            "system.0.cache_control",
            "tools.0.cache_control",
            "messages.0.content.0.cache_control",
            "messages.1.content.0.cache_control",
            "messages.2.content.0.cache_control",
            "messages.2.content.0.content.0.cache_control",
        }

    def test_server_tools_in_the_history_are_said_in_text(self) -> None:
        blocks = [
            {"type": "server_tool_use", "id": "s1", "name": "code_execution", "input": {"code": "1+1"}},
            {
                "type": "code_execution_tool_result",
                "tool_use_id": "s1",
                "content": {"type": "code_execution_result", "stdout": "2\n", "stderr": "", "return_code": 0, "content": []},
            },
        ]
        assert messages(talked(user("x"), assistant(blocks), user("y")))[1]["content"] == (
            '\n[code_execution {"code": "1+1"}]\n\n2\n\n[exit code 0]\n'
        )

    def test_a_block_that_cannot_be_said_is_refused(self) -> None:
        assert refusal(to_chat, asked([{"type": "of_tomorrow"}])).startswith("messages.0.content.0: a of_tomorrow part cannot")

    def test_a_file_of_the_container_is_told_of_and_announced(self) -> None:
        sent, losses = to_chat(asked([{"type": "container_upload", "file_id": "f"}]))
        assert sent["messages"][0]["content"] == "[file f]" and set(losses) == {"messages.0.content.0.file_id"}


class TestMedia:
    def test_images_go_as_urls(self) -> None:
        link = {"type": "url", "url": "https://example.com/a.png"}
        content = messages(asked([{"type": "image", "source": PNG}, {"type": "image", "source": link}]))[0]["content"]
        assert [part["image_url"]["url"] for part in content] == ["data:image/png;base64,iVBORw0KGgo=", link["url"]]

    def test_a_pdf_goes_as_a_file_with_its_title_and_context(self) -> None:
        document = {"type": "document", "source": PDF, "title": "Report", "context": "Of 2025"}
        assert messages(asked([document]))[0]["content"] == [
            {"type": "text", "text": "Of 2025"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "Report.pdf"}},
        ]

    def test_a_text_document_goes_as_text(self) -> None:
        source = {"type": "text", "media_type": "text/plain", "data": "words"}
        content = messages(asked([{"type": "document", "source": source, "title": "T"}]))[0]["content"]
        assert [part["text"] for part in content] == ["Document: T", "words"]

    def test_a_document_that_only_anthropic_could_fetch_is_named_and_that_is_announced(self) -> None:
        link = {"type": "url", "url": "https://example.com/a.pdf"}
        sent, losses = to_chat(asked([{"type": "document", "source": link, "title": "T"}]))
        assert sent["messages"][0]["content"] == "Document: T\nhttps://example.com/a.pdf"
        assert set(losses) == {"messages.0.content.0"}

    def test_a_file_of_the_backends_own_stays_one(self) -> None:
        file = {"type": "file", "file_id": "file_1"}
        assert messages(asked([{"type": "image", "source": file}]))[0]["content"] == [
            {"type": "file", "file": {"file_id": "file_1"}}
        ]
        assert messages(asked([{"type": "document", "source": file}]))[0]["content"][0]["file"] == {"file_id": "file_1"}


class TestThinking:
    @pytest.mark.parametrize(
        ("params", "effort"),
        [
            ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "high"),
            ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium"),
            ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
            ({"thinking": {"type": "enabled", "budget_tokens": 1}}, "minimal"),
            ({"thinking": {"type": "adaptive"}}, "high"),
            ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
            ({"output_config": {"effort": "low"}}, "low"),
            ({"thinking": {"type": "disabled"}}, "none"),
        ],
    )
    def test_every_way_to_think_is_a_word_of_effort(self, params: dict[str, Any], effort: str) -> None:
        sent, losses = to_chat(asked(**params))
        assert sent["reasoning_effort"] == effort and not losses

    def test_a_model_that_does_not_reason_is_asked_for_none(self) -> None:
        sent, losses = to_chat(
            asked(thinking={"type": "adaptive"}, output_config={"effort": "low"}), Profile(reasoning_effort=False)
        )
        assert "reasoning_effort" not in sent and losses.keys() == {"thinking", "output_config.effort"}

    def test_a_model_that_always_reasons_is_not_told_to_stop(self) -> None:
        sent, losses = to_chat(asked(thinking={"type": "disabled"}), Profile(reasoning_off=""))
        assert "reasoning_effort" not in sent and losses.keys() == {"thinking"}

    def test_a_model_that_does_not_sample_gets_no_temperature(self) -> None:
        sent, losses = to_chat(asked(temperature=0.5, top_p=1), Profile(samples=False))
        assert "temperature" not in sent and "top_p" not in sent and losses.keys() == {"temperature"}


class TestParameters:
    def test_top_k_goes_only_to_hosts_that_know_it(self) -> None:
        assert to_chat(asked(top_k=5), Profile(top_k=True))[0]["top_k"] == 5
        assert lost(asked(top_k=5)) == {"top_k"}

    def test_four_stop_sequences_are_sent_and_the_rest_announced(self) -> None:
        sent, losses = to_chat(asked(stop_sequences=list("abcde")))
        assert sent["stop"] == list("abcd") and losses.keys() == {"stop_sequences.4"}
        assert to_chat(asked(stop_sequences=["a"]))[0]["stop"] == "a"
        assert "stop" not in to_chat(asked(stop_sequences=[]))[0]

    def test_a_user_id_that_is_too_long_goes_as_its_hash(self) -> None:
        assert to_chat(asked(metadata={"user_id": "u" * 64}))[0]["user"] == "u" * 64
        first, second = (to_chat(asked(metadata={"user_id": "u" * 65}))[0]["user"] for _ in range(2))
        assert first == second and len(first) == 64 and first != "u" * 64

    def test_usage_is_asked_for_in_streams_of_hosts_that_can_tell(self) -> None:
        assert to_chat(asked(stream=True))[0]["stream_options"] == {"include_usage": True}
        assert "stream_options" not in to_chat(asked(stream=True), Profile(include_stream_usage=False))[0]
        assert "stream" not in to_chat(asked())[0]

    def test_an_output_format_becomes_a_response_format(self) -> None:
        sent, losses = to_chat(asked(output_config={"format": {"type": "json_schema", "schema": CLOSED}}))
        shape = {"name": "output", "schema": CLOSED, "strict": True}
        assert sent["response_format"] == {"type": "json_schema", "json_schema": shape} and not losses

    def test_messages_come_last(self) -> None:
        sent, _ = to_chat(asked(system="s", tools=[tool()], temperature=0.5, x_new=1))
        assert list(sent)[-1] == "messages"


def test_a_tool_that_a_message_defines_is_sent_with_the_others() -> None:
    definition = {"name": "late", "input_schema": {"type": "object"}}
    addition = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}
    body = talked(user("hi"), {"role": "system", "content": [addition]}, user("go on"))
    out, losses = to_chat(body)
    assert [each["function"]["name"] for each in out["tools"]] == ["late"]
    assert not losses
    again = read_request(json.dumps(body).encode(), Losses())
    assert "tools" not in json.loads(anthropic_request.write_request(again, "m", Profile(), Losses()))
