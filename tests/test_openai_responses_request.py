"""Responses requests: what the reader takes and refuses, and what other targets get of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anyllm_fast.dialects import anthropic_request, openai_responses_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import (
    Foreign,
    Media,
    Refusal,
    ServerTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolForm,
    ToolResult,
)
from tests.responses import (
    CLOSED,
    PIXEL,
    Json,
    call,
    done,
    read,
    sent,
    to_chat,
    user,
    value,
)

# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"input": "x"}, "model: required: expected a string"),
        ({"model": "m", "input": 5}, "input: expected a string or an array, got an integer"),
        ({"model": "m", "input": [5]}, "input.0: expected an object, got an integer"),
        ({"model": "m", "input": [{}]}, "input.0.type: required: expected a string"),
        (
            {"model": "m", "input": [{"role": "robot", "content": "x"}]},
            "input.0.role: expected user, assistant, system or developer",
        ),
        ({"model": "m", "input": [{"role": "user"}]}, "input.0.content: required: expected a string or an array"),
        ({"model": "m", "input": [user([{"type": "input_text"}])]}, "input.0.content.0.text: required: expected a string"),
        (
            {"model": "m", "input": [user([{"type": "input_image"}])]},
            "input.0.content.0: required: expected image_url or file_id",
        ),
        ({"model": "m", "input": [{"type": "function_call"}]}, "input.0.call_id: required: expected a string"),
        ({"model": "m", "input": [call(arguments=5)]}, "input.0.arguments: expected a string, got an integer"),  # type: ignore[arg-type]  # that is the point
        ({"model": "m", "input": [{**done(), "call_id": None}]}, "input.0.call_id: required: expected a string"),
        ({"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools.0.name: required: expected a string"),
        ({"model": "m", "input": "x", "tool_choice": "some"}, "tool_choice: expected none, auto, required or an object"),
        ({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.name: required"),
        ({"model": "m", "input": "x", "include": "all"}, "include: expected an array, got a string"),
        ({"model": "m", "input": "x", "max_output_tokens": -1}, "max_output_tokens: must not be negative"),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_path(body: Json, said: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        openai_responses_request.read_request(json.dumps(body).encode(), Losses())
    assert str(error.value).startswith(said)


def test_a_reference_to_an_item_that_openai_holds_is_refused_by_others() -> None:
    with pytest.raises(InvalidRequest, match=r"^input.1: a item_reference part cannot be carried"):
        to_chat(user(), {"type": "item_reference", "id": "msg_1"})


# -- items -------------------------------------------------------------------------------------------------------------


def test_items_of_one_answer_are_one_turn_and_their_results_one_more() -> None:
    request = read(
        user(),
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "think"}]},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a"}],
        },
        call("call_1"),
        call("call_2"),
        done("1", "call_1"),
        done("2", "call_2"),
        user("go"),
    )
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user", "user"]
    assert [type(part) for part in request.turns[1].parts] == [Thinking, Text, ToolCall, ToolCall]
    assert [type(part) for part in request.turns[2].parts] == [ToolResult, ToolResult]


def test_a_string_is_one_question() -> None:
    request = openai_responses_request.read_request(b'{"model":"m","input":"hi"}', Losses())
    [turn] = request.turns
    assert (turn.role, turn.plain, value(turn.parts[0].text)) == ("user", True, "hi")  # type: ignore[union-attr]  # a Text


def test_instructions_are_the_system_prompt_and_developer_messages_stay_where_they_were() -> None:
    out, _ = to_chat({"role": "developer", "content": "dev"}, user(), instructions="first")
    assert [message["content"] for message in out["messages"]] == ["first", "dev", "hi"]


def test_ids_and_states_of_items_are_no_loss_but_a_phase_is() -> None:
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]}
    _, losses = to_chat(user(), {**answer, "id": "msg_1", "status": "completed", "phase": "commentary"}, user())
    assert set(losses) == {"input.1.phase"}


def test_a_refusal_and_annotations_of_an_answer_are_read() -> None:
    content = [
        {"type": "output_text", "text": "a", "annotations": [{"type": "file_path", "file_id": "f", "index": 0}], "logprobs": []},
        {"type": "refusal", "refusal": "no"},
    ]
    turn = read({"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": content}).turns[0]
    assert [type(part) for part in turn.parts] == [Text, Refusal]
    assert set(turn.parts[0].private) == {"annotations"}  # type: ignore[union-attr]  # a Text


@pytest.mark.parametrize(
    ("sealed", "origin", "signature"),
    [
        ("gAAAAB", "openai_responses", "rs_1:gAAAAB"),
        ("anyllm:anthropic:EqQB", "anthropic", "EqQB"),
        ("anyllm:openai_responses:rs_9:gAAAAB", "openai_responses", "rs_9:gAAAAB"),
        ("anyllm:openai_chat:anyllm:reasoning_content", "openai_chat", "anyllm:reasoning_content"),
    ],
)
def test_reasoning_comes_back_to_the_vendor_that_signed_it(sealed: str, origin: str, signature: str) -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    part = read(item).turns[0].parts[0]
    assert isinstance(part, Thinking)
    assert (part.origin, value(part.signature)) == (origin, signature)


def test_texts_of_a_summary_are_joined_with_a_blank_line() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": text} for text in "ab"],
        "content": None,
    }
    part = read(item).turns[0].parts[0]
    assert isinstance(part, Thinking)
    assert (value(part.text), part.signature, part.origin) == ("a\n\nb", None, "")


def test_redacted_reasoning_of_another_vendor_is_redacted_reasoning_again() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "anyllm:anthropic:redacted:UkVE"}
    part = read(item).turns[0].parts[0]
    assert isinstance(part, Thinking)
    assert (part.redacted, part.origin, value(part.text)) == (True, "anthropic", "UkVE")
    out, _ = sent(anthropic_request, {"model": "m", "input": [user(), item, {"role": "assistant", "content": "a"}, user()]})
    assert out["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "UkVE"}


def test_a_custom_call_is_free_text_and_its_tool_has_a_form() -> None:
    request = read(
        user(),
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"\n'},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        tools=[{"type": "custom", "name": "patch"}],
    )
    made = request.turns[1].parts[0]
    assert isinstance(made, ToolCall)
    assert (made.custom, value(made.args)) == (True, 'a "b"\n')
    assert request.forms == {b"patch": ToolForm("custom", b"patch")}


def test_tools_of_a_namespace_are_tools_with_both_names() -> None:
    inside = [{"type": "function", "name": "wait", "parameters": CLOSED}, {"type": "custom", "name": "exec"}]
    request = read(
        call(name="wait", namespace="ns"),
        done(),
        {"type": "custom_tool_call", "call_id": "c2", "name": "exec", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
        tools=[{"type": "namespace", "name": "ns", "description": "About.", "tools": inside}],
    )
    assert [bytes(tool.name) for tool in request.tools or () if not isinstance(tool, ServerTool)] == [
        b'"ns__wait"',
        b'"ns__exec"',
    ]
    assert request.forms == {b"ns__wait": ToolForm("namespaced", b"wait", b"ns"), b"ns__exec": ToolForm("custom", b"exec", b"ns")}
    names = [value(part.name) for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)]
    assert names == ["ns__wait", "ns__exec"], "a call without its namespace is found as well"


def test_tools_in_the_input_join_the_others() -> None:
    tools = [{"type": "namespace", "name": "functions", "description": "", "tools": [{"type": "custom", "name": "exec"}]}]
    body = {"type": "additional_tools", "role": "developer", "tools": tools}
    request = read(body, {"role": "developer", "content": "dev"}, user())
    assert list(request.forms) == [b"functions__exec"]
    out, _ = sent(
        anthropic_request, {"model": "m", "input": [{**body, "tools": []}, {"role": "developer", "content": "dev"}, user()]}
    )
    assert out["system"][0]["text"] == "dev", "what comes behind them is still the head of the conversation"


def test_tools_that_a_search_found_are_sent_outright_and_once() -> None:
    found = {"type": "function", "name": "late", "parameters": CLOSED, "defer_loading": True}
    out, losses = to_chat(
        user(),
        {"type": "tool_search_call", "id": "ts_1", "call_id": "t", "execution": "client", "arguments": {"query": "q"}},
        {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [found, found]},
        {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [found]},
        user(),
        tools=[{"type": "tool_search"}, {**found, "name": "deferred"}],
    )
    assert [tool["function"]["name"] for tool in out["tools"]] == ["deferred", "late"]
    assert "tools.0" in losses


@pytest.mark.parametrize(
    ("item", "result", "name", "args", "said", "failed"),
    [
        (
            {
                "type": "local_shell_call",
                "id": "lsh_1",
                "call_id": "c",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"]},
            },
            {"type": "local_shell_call_output", "id": "lsh_1", "output": "a"},
            "local_shell",
            {"type": "exec", "command": ["ls"]},
            "a",
            False,
        ),
        (
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "a\n", "stderr": "b", "outcome": {"type": "exit", "exit_code": 1}}],
            },
            "shell",
            {"commands": ["ls"]},
            "a\n\nb\n[exit code 1]",
            False,
        ),
        (
            {
                "type": "apply_patch_call",
                "call_id": "c",
                "status": "completed",
                "operation": {"type": "delete_file", "path": "a"},
            },
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed"},
            "apply_patch",
            {"type": "delete_file", "path": "a"},
            "failed",
            True,
        ),
    ],
)
def test_built_in_tools_of_the_client_are_calls_that_any_model_can_make(
    item: Json, result: Json, name: str, args: Json, said: str, failed: bool
) -> None:
    request = read(user(), item, result, tools=[{"type": item["type"].removesuffix("_call")}])
    made, answer = request.turns[1].parts[0], request.turns[2].parts[0]
    assert isinstance(made, ToolCall)
    assert isinstance(answer, ToolResult)
    assert (value(made.name), value(made.args), value(made.ident), value(answer.ident)) == (name, args, "c", "c")
    assert (value(answer.parts[0].text), answer.failed) == (said, failed)  # type: ignore[union-attr]  # a Text
    assert [type(tool) for tool in request.tools or ()] == [Tool]
    assert [form.kind for form in request.forms.values()] == [name]


def test_a_shell_in_openais_own_container_is_told_in_words() -> None:
    environment = {"type": "container_reference", "container_id": "c1"}
    out, _ = to_chat(
        user(),
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "environment": environment},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "timeout"}}]},
        user(),
    )
    assert out["messages"][1]["content"] == '\n[shell {"commands": ["ls"]}]\n\n[output of the shell]\na\n[timed out]\n'


def test_media_in_a_tools_result_is_media() -> None:
    content = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PIXEL, "detail": "original"}]
    result = read(user(), call(), done(content)).turns[2].parts[0]
    assert isinstance(result, ToolResult)
    image = result.parts[1]
    assert isinstance(image, Media)
    assert (image.media_type, value(image.data), value(image.detail)) == ("image/png", "iVBORw0KGgo=", "original")


def test_what_other_agents_say_is_said_by_the_user() -> None:
    content = [{"type": "input_text", "text": "Report:"}, {"type": "encrypted_content", "encrypted_content": "all fine"}]
    out, losses = to_chat(user(), {"type": "agent_message", "author": "/a", "recipient": "/b", "content": content})
    assert [part["text"] for part in out["messages"][1]["content"]] == ["[message from /a to /b]", "Report:", "all fine"]
    assert not losses
    content[1]["encrypted_content"] = "gAAAABsecret"
    out, losses = to_chat(user(), {"type": "agent_message", "author": "/a", "recipient": "/b", "content": content})
    assert "secret" not in json.dumps(out)
    assert set(losses) == {"input.1.content.1.encrypted_content"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (
            {"type": "code_interpreter_call", "id": "c", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]},
            "[code]\n1+1\n[output]\n2",
        ),
        (
            {"type": "file_search_call", "id": "f", "queries": ["q"], "results": [{"filename": "a.md", "text": "t"}]},
            "[file search: q]\na.md\nt",
        ),
        ({"type": "mcp_call", "id": "m", "server_label": "s", "name": "n", "arguments": "{}", "output": "o"}, "[s: n {}]\no"),
        ({"type": "image_generation_call", "id": "i", "status": "completed", "revised_prompt": "a cat"}, "[picture made: a cat]"),
        ({"type": "computer_call", "id": "c", "call_id": "c", "action": {"type": "wait"}}, '[computer: {"type": "wait"}]'),
        ({"type": "program", "id": "p", "call_id": "c", "code": "f()", "fingerprint": "x"}, "[program]\nf()"),
        ({"type": "compaction", "encrypted_content": "anyllm:summary:so far"}, "so far"),
    ],
)
def test_items_of_openais_servers_are_told_in_words(item: Json, said: str) -> None:
    request = read(user(), item)
    part = request.turns[1].parts[0]
    assert isinstance(part, Foreign)
    texts = [value(inner.text) for inner in part.parts or () if isinstance(inner, Text)]
    assert texts == [said]
    assert not part.unsaid


def test_what_was_searched_for_is_announced() -> None:
    search = {"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "q"}}
    out, losses = to_chat(user(), search, user())
    assert [message["role"] for message in out["messages"]] == ["user", "user"]
    assert set(losses) == {"input.1.action"}


def test_pictures_in_a_system_message_are_shown_by_the_user() -> None:
    content = [{"type": "input_text", "text": "rules"}, {"type": "input_image", "image_url": "http://a/b.png"}]
    out, losses = to_chat({"type": "message", "role": "developer", "content": content}, user())
    assert [message["role"] for message in out["messages"]] == ["user", "system", "user"]
    assert out["messages"][0]["content"][0]["image_url"]["url"] == "http://a/b.png"
    assert not losses


def test_a_summary_of_reasoning_is_asked_for_in_the_targets_words() -> None:
    body = {"model": "m", "input": [user()], "reasoning": {"effort": "low", "summary": "auto"}}
    losses = Losses()
    out = anthropic_request.write_request(
        openai_responses_request.read_request(json.dumps(body).encode(), losses), "m", Profile(), losses
    )
    assert json.loads(out)["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert not losses


def test_a_second_tool_of_a_name_is_announced_where_it_differs() -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    late = {"type": "additional_tools", "role": "developer", "tools": [tool, {**tool, "description": "other"}]}
    losses = Losses()
    body = {"model": "m", "input": [user(), late], "tools": [tool]}
    request = openai_responses_request.read_request(json.dumps(body).encode(), losses)
    assert len(request.tools or ()) == 1
    assert [path for path, _ in losses] == ["input.1.tools.1"]


def test_a_summary_that_only_openai_can_read_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^input.1: a compaction part cannot be carried"):
        to_chat(user(), {"type": "compaction", "encrypted_content": "gAAAAB"})


def test_an_effort_that_is_set_in_the_input_is_the_one_in_force() -> None:
    out, _ = to_chat(user(), {"type": "configuration_update", "reasoning": {"effort": "low"}}, reasoning={"effort": "high"})
    assert out["reasoning_effort"] == "low"


# -- parameters --------------------------------------------------------------------------------------------------------


def test_defaults_and_what_the_gateway_does_anyway_are_no_loss() -> None:
    _, losses = to_chat(
        user(),
        include=["reasoning.encrypted_content"],
        truncation="disabled",
        background=False,
        client_metadata={},
        stream_options={"include_obfuscation": True},
        text={"format": {"type": "text"}},
    )
    assert not losses


def test_what_only_openai_knows_is_announced() -> None:
    _, losses = to_chat(
        user(), truncation="auto", max_tool_calls=3, previous_response_id="resp_1", include=["file_search_call.results"]
    )
    assert set(losses) == {"truncation", "max_tool_calls", "previous_response_id", "include"}


def test_settings_that_others_have_are_fields() -> None:
    request = read(
        user(),
        metadata={"a": "b"},
        store=True,
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        text={"verbosity": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        safety_identifier="u",
    )
    assert (value(request.metadata), value(request.store), value(request.cache_key)) == ({"a": "b"}, True, "k")
    assert (value(request.cache_retention), value(request.verbosity), request.logprobs) == ("24h", "low", True)
    assert (value(request.top_logprobs), value(request.user)) == (2, "u")


def test_a_format_is_flat_here_and_nested_in_chat() -> None:
    shape = {"type": "json_schema", "name": "n", "schema": CLOSED, "strict": True}
    out, _ = to_chat(user(), text={"format": shape})
    assert out["response_format"] == {"type": "json_schema", "json_schema": {"name": "n", "schema": CLOSED, "strict": True}}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "shell"}, {"type": "function", "function": {"name": "shell"}}),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}],
            },
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
    ],
)
def test_a_tool_choice_is_the_same_in_chat(choice: Any, said: Any) -> None:
    tools = [{"type": "function", "name": "f", "parameters": CLOSED}, {"type": "shell"}]
    out, losses = to_chat(user(), tools=tools, tool_choice=choice)
    assert out["tool_choice"] == said
    assert not losses


def test_a_tool_of_openais_own_cannot_be_forced_elsewhere_which_is_announced() -> None:
    tools = [{"type": "function", "name": "f", "parameters": CLOSED}]
    out, losses = to_chat(user(), tools=tools, tool_choice={"type": "mcp", "server_label": "s"})
    assert out["tool_choice"] == "auto"
    assert set(losses) == {"tool_choice.type", "tool_choice.server_label"}


def test_a_web_search_is_the_others_web_search() -> None:
    tool = {"type": "web_search", "filters": {"allowed_domains": ["a.b"]}, "user_location": {"country": "CH"}}
    out, losses = sent(anthropic_request, {"model": "m", "input": "x", "tools": [tool]})
    assert out["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["a.b"],
            "user_location": {"type": "approximate", "country": "CH"},
        }
    ]
    assert not losses
