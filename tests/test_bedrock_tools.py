"""bedrock_tools.py, bedrock_thinking.py and the settings of bedrock_request.py: tools, reasoning, sampling, formats."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Part, Request, Text, Thinking, Turn
from anyllm_fast.neutral.signatures import redacted, tagged
from tests.bedrock_judge import (
    CLAUDE,
    NOVA,
    PLAIN,
    SOURCES,
    carried,
    from_anthropic,
    from_chat,
    problems,
    said,
    to_anthropic,
    to_chat,
)
from tests.requests import answer, asked, assistant, call, function, result, talked, tool, use, user

Json = dict[str, Any]
CALLED = [user("q"), assistant([use("c1")]), user([result("c1")])]


def names(out: Json) -> list[str]:
    return [each["toolSpec"]["name"] for each in out.get("toolConfig", {}).get("tools", []) if "toolSpec" in each]


# -- tools -------------------------------------------------------------------------------------------------------------


def test_under_none_the_tools_are_left_out_and_that_is_said() -> None:
    out, losses = from_chat(asked("hi", tools=[function()], tool_choice="none"))
    assert "toolConfig" not in out
    assert "tool_choice" in losses


def test_under_none_the_tools_stay_where_the_conversation_has_called_one() -> None:
    """Converse refuses toolUse blocks in a request without toolConfig."""
    out, losses = from_anthropic(talked(*CALLED, tools=[tool()], tool_choice={"type": "none"}))
    assert names(out) == ["f"]
    assert "tool_choice" in losses


def test_tools_of_which_only_the_calls_are_known_are_declared_by_name() -> None:
    out, losses = from_anthropic(talked(*CALLED))
    assert names(out) == ["f"]
    assert "toolChoice" not in out["toolConfig"]
    assert losses == {}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_every_choice_has_its_word(choice: Any, written: Json) -> None:
    out, _ = from_chat(asked("hi", tools=[function()], tool_choice=choice))
    assert out["toolConfig"]["toolChoice"] == written


def test_of_allowed_tools_only_those_are_sent() -> None:
    allowed = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]},
    }
    out, _ = from_chat(asked("hi", tools=[function("f"), function("g")], tool_choice=allowed))
    assert names(out) == ["g"]
    assert out["toolConfig"]["toolChoice"] == {"any": {}}


def test_one_call_at_a_time_is_claudes_own_setting_and_words_to_the_others() -> None:
    body = asked("hi", tools=[function()], parallel_tool_calls=False)
    out, losses = from_chat(body, CLAUDE)
    assert out["additionalModelRequestFields"] == {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    assert losses == {}
    out, losses = from_chat(body)
    assert "one tool" in out["system"][0]["text"]
    assert list(losses) == ["parallel_tool_calls"]


def test_the_type_of_a_choice_is_never_said_twice() -> None:
    """A forced choice in toolConfig and a type beside it are a 400."""
    out, _ = from_chat(asked("hi", tools=[function()], tool_choice="required", parallel_tool_calls=False), CLAUDE)
    assert out["toolConfig"]["toolChoice"] == {"any": {}}
    assert out["additionalModelRequestFields"]["tool_choice"] == {"disable_parallel_tool_use": True}


def test_names_and_ids_are_made_of_the_letters_that_the_api_takes() -> None:
    long = "a.b/" + "c" * 80
    body = talked(
        user("q"), assistant(None, tool_calls=[call("id with spaces", long)]), answer("id with spaces"), tools=[function(long)]
    )
    request = SOURCES["openai_chat"].read_request(json.dumps(body).encode(), Losses())
    out = json.loads(SOURCES["bedrock"].write_request(request, "m", PLAIN, Losses()))
    assert not problems(out)
    block = out["messages"][1]["content"][0]["toolUse"]
    assert names(out) == [block["name"]]
    assert len(block["name"]) <= 64
    assert request.renamed == {block["name"].encode(): long.encode()}
    assert out["messages"][2]["content"][0]["toolResult"]["toolUseId"] == block["toolUseId"]


def test_the_same_id_in_two_turns_becomes_two() -> None:
    turns = [assistant([use("c1")]), user([result("c1")])]
    out, _ = from_anthropic(talked(user("q"), *turns, *turns, tools=[tool()]))
    idents = [block["toolUse"]["toolUseId"] for message in out["messages"] for block in message["content"] if "toolUse" in block]
    assert idents == ["c1", "c1_1"]


def test_a_custom_tool_goes_as_a_function_with_one_text() -> None:
    custom = {"type": "custom", "custom": {"name": "patch", "description": "applies"}}
    past = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    out, losses = from_chat(talked(user("q"), assistant(None, tool_calls=[past]), answer("c1"), tools=[custom]))
    assert out["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["required"] == ["input"]
    assert out["messages"][1]["content"][0]["toolUse"]["input"] == {"input": "*** Begin"}
    assert losses == {}


def test_a_schema_is_spliced_as_written_and_gets_the_type_that_the_api_demands() -> None:
    out, _ = from_chat(asked("hi", tools=[function(parameters={"properties": {"b": {}, "a": {}}})]))
    schema = out["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
    assert list(schema) == ["type", "properties"]
    assert list(schema["properties"]) == ["b", "a"]


def test_server_tools_are_announced() -> None:
    out, losses = from_anthropic(asked("hi", tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert "toolConfig" not in out
    assert list(losses) == ["tools.0"]


def test_results_keep_what_they_are() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}}
    body = talked(
        user("q"),
        assistant([use("a"), use("b"), use("c")]),
        user([result("c", "", is_error=True), result("a", '{"x": 1}'), result("b", [picture])]),
        tools=[tool()],
    )
    out, _ = from_anthropic(body)
    results = [block["toolResult"] for block in out["messages"][2]["content"]]
    assert [each["toolUseId"] for each in results] == ["a", "b", "c"]
    assert results[0]["content"] == [{"text": '{"x": 1}'}]
    assert "image" in results[1]["content"][0]
    assert results[2] == {"toolUseId": "c", "content": [{"text": "Error"}], "status": "error"}


def test_a_json_result_is_text_to_the_others() -> None:
    body = {
        "messages": [
            {"role": "user", "content": [{"text": "q"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c", "name": "f", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "c", "content": [{"json": {"b": 1, "a": 2}}]}}]},
        ]
    }
    out, losses = to_chat(body)
    assert json.loads(out["messages"][2]["content"]) == {"b": 1, "a": 2}
    assert losses == {}


# -- reasoning ---------------------------------------------------------------------------------------------------------


def test_thinking_goes_to_claude_in_its_own_members() -> None:
    body = asked("hi", thinking={"type": "enabled", "budget_tokens": 1500})
    out, losses = from_anthropic(body, CLAUDE)
    assert out["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    older = Profile(anthropic_model=True, adaptive_thinking=False)
    out, losses = from_anthropic(body, older)
    assert out["additionalModelRequestFields"] == {"thinking": {"type": "enabled", "budget_tokens": 1500}}
    assert losses == {}


def test_effort_goes_to_other_models_in_the_member_of_their_family() -> None:
    body = asked("hi", reasoning_effort="medium")
    out, _ = from_chat(body, NOVA)
    assert out["additionalModelRequestFields"] == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}
    out, _ = from_chat(body, Profile(converse_effort="reasoning_effort"))
    assert out["additionalModelRequestFields"] == {"reasoning_effort": "medium"}
    out, _ = from_chat(body, Profile(converse_effort="outputConfig"))
    assert out["outputConfig"] == {"effort": "medium"}
    out, losses = from_chat(body)
    assert "additionalModelRequestFields" not in out
    assert "reasoning_effort" in losses


def test_claude_does_not_think_while_a_tool_is_forced() -> None:
    out, losses = from_chat(asked("hi", tools=[function()], tool_choice="required", reasoning_effort="high"), CLAUDE)
    assert "additionalModelRequestFields" not in out
    assert "reasoning_effort" in losses


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "low"),
        ({"reasoning_config": {"type": "enabled", "budget_tokens": 5000}}, "high"),
        ({"reasoning_effort": "medium"}, "medium"),
        ({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, "low"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, "high"),
    ],
)
def test_every_familys_settings_of_reasoning_are_understood(fields: Json, written: str) -> None:
    body = said({"text": "hi"}) | {"additionalModelRequestFields": fields}
    out, losses = to_chat(body)
    assert out["reasoning_effort"] == written
    assert losses == {}
    assert carried("bedrock", "bedrock", body)[0] == body


THOUGHT = {"type": "thinking", "thinking": "t", "signature": "SIG"}


def thought(origin: str) -> Request:
    """A conversation with signed and with redacted thinking of an upstream of that dialect."""
    parts: list[Part] = [
        Thinking(text=_raw('"t"'), signature=_raw('"SIG"'), origin=origin, where=((), "one")),
        Thinking(text=_raw('"QUJD"'), redacted=True, origin=origin, where=((), "two")),
        Text(text=_raw('"a"')),
    ]
    user_turn = Turn(role="user", parts=[Text(text=_raw('"q"'))])
    return Request(model="m", source="x", turns=[user_turn, Turn(role="assistant", parts=parts), user_turn])


@pytest.mark.parametrize(("origin", "profile"), [("anthropic", CLAUDE), ("bedrock", CLAUDE), ("bedrock", PLAIN)])
def test_thinking_goes_back_to_the_model_that_signed_it(origin: str, profile: Profile) -> None:
    """Claude's is Claude's wherever it ran."""
    losses = Losses()
    out = json.loads(SOURCES["bedrock"].write_request(thought(origin), "m", profile, losses))
    assert out["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "SIG"}}},
        {"reasoningContent": {"redactedContent": "QUJD"}},
        {"text": "a"},
    ]
    assert not losses


@pytest.mark.parametrize(("origin", "profile"), [("anthropic", PLAIN), ("gemini", CLAUDE), ("", CLAUDE)])
def test_thinking_that_the_target_has_not_signed_is_left_out_and_said(origin: str, profile: Profile) -> None:
    losses = Losses()
    out = json.loads(SOURCES["bedrock"].write_request(thought(origin), "m", profile, losses))
    assert out["messages"][1]["content"] == [{"text": "a"}]
    assert {path for path, _ in losses} == {"one", "two"}


def test_foreign_thinking_is_left_out_and_said() -> None:
    out, losses = from_anthropic(talked(user("q"), assistant([THOUGHT, {"type": "text", "text": "a"}]), user("b")))
    assert out["messages"][1]["content"] == [{"text": "a"}]
    assert list(losses) == ["messages.1.content.0"]


@pytest.mark.parametrize("origin", ["anthropic", "gemini", "bedrock"])
def test_a_tagged_signature_comes_back_as_it_was_and_names_its_origin(origin: str) -> None:
    signature = "SIG" if origin == "bedrock" else tagged(origin, b"SIG").decode()
    block = {"reasoningContent": {"reasoningText": {"text": "t", "signature": signature}}}
    body = said(block, {"text": "a"}, role="assistant")
    request = SOURCES["bedrock"].read_request(json.dumps(body).encode(), Losses())
    part: Any = request.turns[0].parts[0]
    assert (part.origin, bytes(part.signature)) == (origin, b'"SIG"')
    assert carried("bedrock", "bedrock", body)[0] == body


def test_redacted_reasoning_of_another_vendor_comes_back_as_it_was() -> None:
    blob = base64.b64encode(tagged("anthropic", redacted(b"DATA"))).decode()
    body = said({"reasoningContent": {"redactedContent": blob}}, role="assistant")
    request = SOURCES["bedrock"].read_request(json.dumps(body).encode(), Losses())
    part: Any = request.turns[0].parts[0]
    assert (part.origin, part.redacted, bytes(part.text)) == ("anthropic", True, b'"DATA"')
    assert carried("bedrock", "bedrock", body)[0] == body


# -- settings ----------------------------------------------------------------------------------------------------------


def test_sampling_fits_the_target() -> None:
    out, losses = from_chat(asked("hi", temperature=1.5, top_p=0.5, seed=1))
    assert out["inferenceConfig"] == {"maxTokens": 2000, "temperature": 1, "topP": 0.5}
    assert set(losses) == {"temperature", "seed"}
    out, losses = from_chat(asked("hi", temperature=0.5, top_p=0.5), CLAUDE)
    assert out["inferenceConfig"] == {"maxTokens": 2000, "temperature": 0.5}
    assert set(losses) == {"top_p"}


def test_top_k_goes_to_claude_and_is_read_under_both_names() -> None:
    out, _ = from_anthropic(asked("hi", top_k=5), CLAUDE)
    assert out["additionalModelRequestFields"] == {"top_k": 5}
    out, losses = from_anthropic(asked("hi", top_k=5))
    assert list(losses) == ["top_k"]
    out, _ = to_anthropic(said({"text": "hi"}) | {"additionalModelRequestFields": {"topK": 7}})
    assert out["top_k"] == 7


def test_claude_is_asked_which_stop_sequence_it_met() -> None:
    out, losses = from_chat(asked("hi", stop=["END", " "]), CLAUDE)
    assert out["inferenceConfig"]["stopSequences"] == ["END"]
    assert out["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert list(losses) == ["stop"]


FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": {"type": "object", "b": 1, "a": 2}}}


def test_a_schema_goes_as_text_format_in_its_own_order() -> None:
    out, _ = from_chat(asked("hi", response_format=FORMAT))
    shape = out["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert shape == {"schema": '{"type": "object", "b": 1, "a": 2}', "name": "n", "description": "d"}


def test_a_schema_is_told_in_words_to_a_model_that_takes_none() -> None:
    out, losses = from_chat(asked("hi", response_format=FORMAT), Profile(enforced_schemas=False))
    assert "outputConfig" not in out
    assert '{"type": "object", "b": 1, "a": 2}' in out["system"][0]["text"]
    assert "response_format" in losses
    out, losses = from_chat(asked("hi", response_format={"type": "json_object"}))
    assert "JSON" in out["system"][0]["text"]
    assert "response_format" in losses


def test_metadata_that_the_api_takes_is_kept_with_the_call() -> None:
    request = Request(model="m", source="x", turns=[Turn(role="user", parts=[Text(text=_raw('"hi"'))])])
    request.metadata = _raw('{"team":"a","bad":"ü","number":1}')
    losses = Losses()
    out = json.loads(SOURCES["bedrock"].write_request(request, "m", PLAIN, losses))
    assert out["requestMetadata"] == {"team": "a"}
    assert {path for path, _ in losses} == {"metadata.bad", "metadata.number"}


def test_what_asks_for_nothing_is_no_loss_and_what_asks_is() -> None:
    request = Request(model="m", source="x", turns=[Turn(role="user", parts=[Text(text=_raw('"hi"'))])])
    request.presence_penalty, request.store, request.logprobs, request.top_logprobs = _raw("0"), _raw("false"), False, _raw("0")
    request.seed, request.cache_key, request.verbosity = _raw("1"), _raw('"k"'), _raw('"low"')
    losses = Losses()
    SOURCES["bedrock"].write_request(request, "m", PLAIN, losses)
    assert {path for path, _ in losses} == {"seed", "cache_key", "verbosity"}


def test_a_tier_is_said_in_the_apis_words() -> None:
    assert from_chat(asked("hi", service_tier="flex"))[0]["serviceTier"] == {"type": "flex"}
    assert from_anthropic(asked("hi", service_tier="standard_only"))[0]["serviceTier"] == {"type": "default"}
    assert list(from_chat(asked("hi", service_tier="scale"))[1]) == ["service_tier"]


def _raw(text: str) -> Any:
    return Raw(text.encode())
