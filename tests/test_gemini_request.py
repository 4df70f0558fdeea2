"""Gemini requests: what the reader takes and refuses, what other targets get of them, and what a Gemini target gets of others."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyllm_fast.dialects import anthropic_request, gemini_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request, Thinking, ToolCall, ToolResult
from anyllm_fast.neutral.signatures import packed, redacted, tagged
from tests.strategies import (
    BASE64,
    NAME,
    OBJECT,
    SPELLINGS,
    WORDS,
    anthropic_requests,
    anthropic_turns,
    chat_requests,
    chat_turns,
    spelled,
)

Json = dict[str, Any]
PLAIN = Profile()
GEMINI_3 = Profile(thinking_levels=True, call_signatures=True, media_results=True, part_resolution=True)
SUBSET = Profile(json_schemas=False)
LIMITS = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
PIXEL = "iVBORw0KGgo="


def said(*parts: Json, role: str = "user") -> Json:
    return {"role": role, "parts": list(parts)}


def asked(*contents: Json, **members: Any) -> Json:
    return {"contents": list(contents) or [said({"text": "hi"})], **members}


def call(name: str = "f", args: Json | None = None, **members: Any) -> Json:
    return {"functionCall": {"name": name, "args": args or {}, **members}}


def response(name: str = "f", said: Any = None, **members: Any) -> Json:
    return {"functionResponse": {"name": name, "response": {"output": "done"} if said is None else said, **members}}


def read(body: Json | bytes) -> tuple[Request, dict[str, str]]:
    losses = Losses()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gemini_request.read_request(raw, losses), dict(losses)


def translated(source: Any, target: Any, body: Json, profile: Profile = PLAIN) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = source.read_request(json.dumps(body).encode(), losses)
    return json.loads(target.write_request(request, "m", profile, losses)), dict(losses)


def home(body: Json, profile: Profile = PLAIN) -> Json:
    return translated(gemini_request, gemini_request, body, profile)[0]


def to_anthropic(body: Json) -> tuple[Json, dict[str, str]]:
    return translated(gemini_request, anthropic_request, body)


def to_chat(body: Json) -> tuple[Json, dict[str, str]]:
    return translated(gemini_request, openai_chat_request, body)


def from_anthropic(*messages: Json, profile: Profile = PLAIN, **members: Any) -> tuple[Json, dict[str, str]]:
    body = {"model": "m", "max_tokens": 100, "messages": list(messages), **members}
    out, losses = translated(anthropic_request, gemini_request, body, profile)
    check(out)
    return out, losses


def from_chat(*messages: Json, profile: Profile = PLAIN, **members: Any) -> tuple[Json, dict[str, str]]:
    body = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "hi"}], **members}
    out, losses = translated(openai_chat_request, gemini_request, body, profile)
    check(out)
    return out, losses


def check(out: Json) -> None:
    """The published types take it, and nothing in it is unknown to them."""
    assert "model" not in out and list(out)[-1] == "contents"
    for content in out["contents"]:
        types.Content.model_validate(content)
        assert content["parts"]
    for tool in out.get("tools", ()):
        types.Tool.model_validate(tool)
    types.GenerationConfig.model_validate(out.get("generationConfig", {}))
    types.ToolConfig.model_validate(out.get("toolConfig", {}))
    if "systemInstruction" in out:
        types.Content.model_validate(out["systemInstruction"])


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def answer(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def use(ident: str = "c1", name: str = "f", **members: Any) -> Json:
    return {"type": "tool_use", "id": ident, "name": name, "input": {"a": 1}, **members}


def result(ident: str = "c1", content: Any = "done", **members: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": ident, "content": content, **members}


class TestReading:
    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "contents: required: expected an array"),
            ({"contents": [{"role": "robot"}]}, "contents.0.role: expected user, model, function or tool, got 'robot'"),
            (asked(said({"text": 5})), "contents.0.parts.0.text: expected a string, got an integer"),
            (
                asked(said({"functionCall": {}}, role="model")),
                "contents.0.parts.0.functionCall.name: required: expected a string",
            ),
            (asked(said({"inlineData": {}})), "contents.0.parts.0.inlineData.data: required: expected a string"),
            (asked(said({"fileData": {}})), "contents.0.parts.0.fileData.fileUri: required: expected a string"),
            (asked(tools=[{"functionDeclarations": [{}]}]), "tools.0.functionDeclarations.0.name: required: expected a string"),
            (
                asked(toolConfig={"functionCallingConfig": {"mode": "SOME"}}),
                "toolConfig.functionCallingConfig.mode: expected AUTO, ANY, NONE or VALIDATED, got 'SOME'",
            ),
            (asked(generationConfig={"topK": 1.5}), "generationConfig.topK: expected an integer, got a number with a fraction"),
            (
                asked(generationConfig={"thinkingConfig": {"thinkingBudget": -2}}),
                "generationConfig.thinkingConfig.thinkingBudget: expected a number of tokens, 0 or -1",
            ),
            (
                asked(generationConfig={"stopSequences": [1]}),
                "generationConfig.stopSequences.0: expected a string, got an integer",
            ),
        ],
    )
    def test_a_wrong_or_missing_member_is_refused_with_its_path(self, body: Json, words: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            read(body)
        assert str(caught.value).startswith(words)

    def test_snake_case_means_the_same_at_every_level(self) -> None:
        """google-genai writes both in one body."""
        snake = {
            "contents": [
                {"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": PIXEL}}]},
                {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "U0lH"}]},
                {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"output": "x"}}}]},
            ],
            "system_instruction": {"parts": [{"text": "s"}]},
            "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
            "generation_config": {
                "max_output_tokens": 5,
                "top_k": 5.0,
                "stop_sequences": ["x"],
                "thinking_config": {"include_thoughts": True, "thinking_budget": 2000},
                "response_mime_type": "application/json",
                "response_json_schema": {"type": "object"},
            },
            "safety_settings": [],
        }
        camel = {
            "contents": [
                {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]},
                {"role": "model", "parts": [{**call(args={"a_b": 1}), "thoughtSignature": "U0lH"}]},
                {"role": "user", "parts": [response(said={"output": "x"})]},
            ],
            "systemInstruction": {"parts": [{"text": "s"}]},
            "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "generationConfig": {
                "maxOutputTokens": 5,
                "topK": 5,
                "stopSequences": ["x"],
                "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2000},
                "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object"},
            },
            "safetySettings": [],
        }
        assert to_chat(snake) == to_chat(camel)
        assert to_anthropic(snake) == to_anthropic(camel)

    def test_members_of_gemini_alone_are_announced(self) -> None:
        config = {"candidateCount": 2, "responseModalities": ["IMAGE"], "mediaResolution": "MEDIA_RESOLUTION_LOW"}
        body = asked(
            said({"text": "x", "videoMetadata": {"fps": 2}}), generationConfig=config, safetySettings=[{"category": "c"}]
        )
        assert set(to_anthropic(body)[1]) == {
            "contents.0.parts.0.videoMetadata",
            "generationConfig.candidateCount",
            "generationConfig.responseModalities",
            "generationConfig.mediaResolution",
            "safetySettings",
        }

    def test_a_documented_default_is_no_loss(self) -> None:
        body = asked(generationConfig={"candidateCount": 1, "responseModalities": ["TEXT"]}, safetySettings=[], model="models/x")
        assert to_anthropic(body)[1] == {}

    def test_a_prompt_that_google_holds_is_refused_by_others(self) -> None:
        with pytest.raises(InvalidRequest) as caught:
            to_anthropic(asked(cachedContent="cachedContents/1"))
        assert caught.value.where == "cachedContent"
        assert home(asked(cachedContent="cachedContents/1"))["cachedContent"] == "cachedContents/1"

    def test_the_request_of_a_token_count_may_be_wrapped(self) -> None:
        assert to_chat({"generateContentRequest": {"model": "models/m", **asked()}})[0]["messages"] == [user("hi")]

    @pytest.mark.parametrize(
        "system", ["be brief", {"parts": [{"text": "be brief"}], "role": "user"}, [{"text": "be brief"}], {"text": "be brief"}]
    )
    def test_a_system_instruction_has_several_forms(self, system: Any) -> None:
        assert to_chat(asked(systemInstruction=system))[0]["messages"][0] == {"role": "system", "content": "be brief"}

    def test_a_picture_in_the_system_instruction_becomes_the_users_first_words(self) -> None:
        system = {"parts": [{"text": "s"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}
        messages = to_anthropic(asked(systemInstruction=system))[0]["messages"]
        assert [part["type"] for part in messages[0]["content"]] == ["image", "text"]

    def test_a_number_leaves_as_it_was_written_and_a_whole_one_without_its_point(self) -> None:
        losses = Losses()
        raw = b'{"contents":[],"generationConfig":{"temperature":0.90,"topK":40.0,"seed":-5.0}}'
        out = gemini_request.write_request(gemini_request.read_request(raw, losses), "m", PLAIN, losses)
        assert b'"temperature":0.90' in out and b'"topK":40,' in out and b'"seed":-5' in out


class TestParts:
    def test_base64_of_either_alphabet_leaves_in_the_standard_one(self) -> None:
        """google-genai writes the url-safe one, which no other vendor reads."""
        sent = to_anthropic(asked(said({"inlineData": {"mimeType": "image/png", "data": "-_-_"}})))[0]
        assert sent["messages"][0]["content"][0]["source"]["data"] == "+/+/"

    def test_files_go_by_their_address_or_as_googles_own(self) -> None:
        parts = [
            {"fileData": {"fileUri": "https://a/b.png"}},
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "mimeType": "application/pdf"}},
            {"fileData": {"fileUri": "gs://b/c.pdf"}},
            {"fileData": {"fileUri": "https://www.youtube.com/watch?v=1"}},
        ]
        found = read(asked(said(*parts)))[0].turns[0].parts
        assert [(part.kind, part.url is not None) for part in found] == [  # type: ignore[union-attr]
            ("image", True),
            ("document", False),
            ("document", False),
            ("video", True),
        ]
        assert home(asked(said(*parts)))["contents"][0]["parts"] == parts

    def test_pdfs_and_images_are_carried(self) -> None:
        """W143 of the reference: non-image inlineData and fileData were dropped."""
        parts = [
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "displayName": "a"}},
            {"fileData": {"fileUri": "http://a/b.png"}},
        ]
        content = to_anthropic(asked(said(*parts)))[0]["messages"][0]["content"]
        assert content[0]["type"] == "document" and content[0]["title"] == "a"
        assert content[1]["source"] == {"type": "url", "url": "http://a/b.png"}

    def test_code_that_google_ran_is_said_as_text(self) -> None:
        parts = [
            {"executableCode": {"language": "PYTHON", "code": "print(1)", "id": "1"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}},
        ]
        body = asked(said({"text": "x"}), said(*parts, role="model"), said({"text": "y"}))
        sent, losses = to_anthropic(body)
        texts = [block["text"] for block in sent["messages"][1]["content"]]
        assert texts == ["```python\nprint(1)\n```", "[OUTCOME_FAILED]\n```\nno\n```"] and not losses
        assert home(body) == body

    def test_thoughts_stay_thoughts(self) -> None:
        """W143 of the reference: they became visible text."""
        body = asked(said({"text": "x"}), said({"text": "hm", "thought": True}, {"text": "a"}, role="model"), said({"text": "y"}))
        assert to_chat(body)[0]["messages"][1] == {"role": "assistant", "content": "a"}
        assert home(body) == body

    def test_a_turn_without_a_role_is_the_users_or_with_calls_the_models(self) -> None:
        body = {"contents": [{"parts": [{"text": "x"}]}, {"parts": [call()]}, {"parts": [response()]}]}
        assert [turn.role for turn in read(body)[0].turns] == ["user", "assistant", "user"]

    @pytest.mark.parametrize("role", ["user", "function", "tool"])
    def test_responses_come_in_several_roles(self, role: str) -> None:
        body = asked(said({"text": "x"}), said(call(), role="model"), said(response(), role=role))
        assert to_chat(body)[0]["messages"][2]["role"] == "tool"

    def test_parts_that_nobody_knows_are_announced(self) -> None:
        sent, losses = to_chat(asked(said({"text": "x"}, {"speechMetadata": {"speaker": "a"}})))
        assert sent["messages"] == [user("x")] and set(losses) == {"contents.0.parts.1.speechMetadata"}


class TestPairing:
    def paired(self, *contents: Json) -> list[tuple[str, str]]:
        found = read({"contents": [said({"text": "x"}), *contents]})[0].turns
        calls = {bytes(part.ident): bytes(part.args) for turn in found for part in turn.parts if isinstance(part, ToolCall)}
        results = [part for turn in found for part in turn.parts if isinstance(part, ToolResult)]
        return [(calls[bytes(part.ident)].decode(), json.loads(bytes(part.parts[0].text))) for part in results]  # type: ignore[union-attr]

    def test_by_id_whatever_the_order(self) -> None:
        calls = said(call(args={"n": 1}, id="a"), call(args={"n": 2}, id="b"), role="model")
        responses = said(response(said={"output": "two"}, id="b"), response(said={"output": "one"}, id="a"))
        assert self.paired(calls, responses) == [('{"n": 2}', "two"), ('{"n": 1}', "one")]

    def test_two_calls_of_one_function_are_told_apart_by_their_order(self) -> None:
        """W70 and W143 of the reference: both had one id, made of the name."""
        calls = said(call(args={"n": 1}), call(args={"n": 2}), role="model")
        responses = said(response(said={"output": "one"}), response(said={"output": "two"}))
        assert self.paired(calls, responses) == [('{"n": 1}', "one"), ('{"n": 2}', "two")]

    def test_by_name_before_order(self) -> None:
        calls = said(call("f", {"n": 1}), call("g", {"n": 2}), role="model")
        responses = said(response("g", {"output": "two"}), response("f", {"output": "one"}))
        assert self.paired(calls, responses) == [('{"n": 2}', "two"), ('{"n": 1}', "one")]

    def test_an_id_that_no_call_has_is_paired_by_name(self) -> None:
        """gemini-cli's sub-agents: calls without ids, responses with one."""
        calls = said(call("f", {"n": 1}), call("g", {"n": 2}), role="model")
        responses = said(response("g", {"output": "two"}, id="uuid#0-1"), response("f", {"output": "one"}, id="uuid#0-0"))
        assert self.paired(calls, responses) == [('{"n": 2}', "two"), ('{"n": 1}', "one")]

    def test_a_response_that_comes_twice_counts_once(self) -> None:
        """gemini-cli --resume."""
        calls = said(call(args={"n": 1}, id="a"), role="model")
        twice = response(said={"output": "one"}, id="a")
        assert self.paired(calls, said(twice, twice)) == [('{"n": 1}', "one")]
        assert self.paired(calls, said(twice), said(twice)) == [('{"n": 1}', "one")]

    def test_another_response_to_the_same_call_is_announced(self) -> None:
        contents = [said(call(id="a"), role="model"), said(response(id="a"), response(said={"output": "other"}, id="a"))]
        assert set(read(asked(said({"text": "x"}), *contents))[1]) == {"contents.2.parts.1.functionResponse"}

    def test_the_same_conversation_gives_the_same_ids(self) -> None:
        body = asked(said({"text": "x"}), said(call(), call(), role="model"), said(response(), response()))
        longer = {"contents": [*body["contents"], said(call(), role="model"), said(response())]}
        short, long = to_chat(body)[0]["messages"], to_chat(longer)[0]["messages"]
        assert long[: len(short)] == short
        idents = [each["id"] for message in long for each in message.get("tool_calls", ())]
        assert idents == ["call_1_0", "call_1_1", "call_3_0"]

    def test_ids_that_were_made_do_not_go_back_to_gemini(self) -> None:
        body = asked(said({"text": "x"}), said(call(), role="model"), said(response()))
        assert home(body) == body

    def test_two_calls_with_one_id_get_another(self) -> None:
        body = asked(said({"text": "x"}), said(call(id="a"), call(id="a"), role="model"), said(response(), response()))
        calls = to_chat(body)[0]["messages"][1]["tool_calls"]
        assert [each["id"] for each in calls] == ["a", "call_1_1"]

    @pytest.mark.parametrize(
        ("given", "text", "failed"),
        [
            ({"output": "plain"}, "plain", False),
            ({"output": {"a": 1}}, '{"a": 1}', False),
            ({"error": "bad"}, "bad", True),
            ({"error": {"code": 5}}, '{"code": 5}', True),
            ({"result": "x"}, '{"result": "x"}', False),
            ({"output": "x", "more": 1}, '{"output": "x", "more": 1}', False),
            ({}, "{}", False),
        ],
    )
    def test_a_response_is_an_output_an_error_or_itself(self, given: Json, text: str, failed: bool) -> None:
        """W143 of the reference: it was always JSON text, and never an error."""
        body = asked(said({"text": "x"}), said(call(), role="model"), said(response(said=given)))
        block = to_anthropic(body)[0]["messages"][2]["content"][0]
        assert (block["content"] if isinstance(block["content"], str) else block["content"][0]["text"]) == text
        assert block.get("is_error", False) is failed

    def test_pictures_in_and_beside_a_response_are_carried(self) -> None:
        picture = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
        inside = asked(said({"text": "x"}), said(call(), role="model"), said(response(parts=[picture])))
        blocks = to_anthropic(inside)[0]["messages"][2]["content"]
        assert [part["type"] for part in blocks[0]["content"]] == ["text", "image"]
        beside = asked(said({"text": "x"}), said(call(), role="model"), said(response(), picture))
        assert [block["type"] for block in to_anthropic(beside)[0]["messages"][2]["content"]] == ["tool_result", "image"]
        assert home(beside) == beside and home(inside) == inside


def packed_value(origin: str, opaque: bytes, text: bytes, url_safe: bool = False) -> str:
    value = packed(tagged(origin, opaque), text)
    return (base64.urlsafe_b64encode(value) if url_safe else base64.b64encode(value)).decode()


class TestSignatures:
    def thoughts(self, *parts: Json) -> list[tuple[str, str, str]]:
        turns = read(asked(said({"text": "x"}), said(*parts, role="model"), said({"text": "y"})))[0].turns
        found = [part for part in turns[1].parts if isinstance(part, Thinking)]
        return [(part.origin, json.loads(bytes(part.text)), json.loads(bytes(part.signature or b'""'))) for part in found]

    def test_gemini_s_own_carries_the_kind_of_its_part(self) -> None:
        assert self.thoughts({**call(), "thoughtSignature": "U0lH"}) == [("gemini", "", "c:U0lH")]
        assert self.thoughts({"text": "a", "thoughtSignature": "U0lH"}) == [("gemini", "", "t:U0lH")]
        assert self.thoughts({"text": "a", "thought": True, "thoughtSignature": "U0lH"}) == [("gemini", "a", "h:U0lH")]

    def test_a_call_s_signature_is_of_the_thought_before_it(self) -> None:
        assert self.thoughts({"text": "hm", "thought": True}, {**call(), "thoughtSignature": "U0lH"}) == [
            ("gemini", "hm", "c:U0lH")
        ]

    @pytest.mark.parametrize("url_safe", [False, True])
    def test_another_vendors_comes_back_with_the_text_that_it_signs(self, url_safe: bool) -> None:
        value = packed_value("anthropic", b"SIG+/=", rb"th\n\"ink\"", url_safe)
        for kept in (
            [],
            [{"text": 'th\n"ink"', "thought": True}],
            [{"text": "th\n", "thought": True}, {"text": '"ink"', "thought": True}],
        ):
            found = self.thoughts(*kept, {**call(), "thoughtSignature": value.rstrip("=")})
            assert found == [("anthropic", 'th\n"ink"', "SIG+/=")]

    def test_redacted_reasoning_comes_back_too(self) -> None:
        value = packed_value("anthropic", redacted(b"RED"), b"")
        body = asked(said({"text": "x"}), said({"text": "a", "thoughtSignature": value}, role="model"), said({"text": "y"}))
        assert to_anthropic(body)[0]["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "RED"}

    def test_thinking_goes_back_to_anthropic_whole(self) -> None:
        value = packed_value("anthropic", b"SIG", b"hm")
        turn = said({**call(id="a"), "thoughtSignature": value}, role="model")
        sent, losses = to_anthropic(asked(said({"text": "x"}), turn, said(response(id="a"))))
        assert sent["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "SIG"}
        assert losses == {}

    @pytest.mark.parametrize(
        "word", ["skip_thought_signature_validator", base64.b64encode(b"skip_thought_signature_validator").decode()]
    )
    def test_the_word_for_no_signature_is_dropped_without_a_word(self, word: str) -> None:
        body = asked(said({"text": "x"}), said({**call(), "thoughtSignature": word}, role="model"), said(response()))
        assert self.thoughts({**call(), "thoughtSignature": word}) == [] and to_chat(body)[1] == {}

    def test_a_value_that_is_not_ours_is_geminis(self) -> None:
        for value in ("YW55bGxtO", "YW55bGxtOg==", "not base64!"):
            assert self.thoughts({**call(), "thoughtSignature": value})[0][0] in ("gemini", "")

    def test_each_goes_back_on_the_kind_of_part_that_it_came_on(self) -> None:
        """W70 of the reference: signatures were not kept."""
        parts = [
            {"text": "hm", "thought": True},
            {"text": "a", "thoughtSignature": "VEVYVA=="},
            {**call(id="1"), "thoughtSignature": "Q0FMTA=="},
            call(id="2"),
        ]
        body = asked(said({"text": "x"}), said(*parts, role="model"), said(response(id="1"), response(id="2")))
        assert home(body) == body

    def test_one_behind_a_stream_stays_on_an_empty_text(self) -> None:
        parts = [{"text": "a", "thoughtSignature": "MQ=="}, {"text": "", "thoughtSignature": "Mg=="}]
        body = asked(said({"text": "x"}), said(*parts, role="model"), said({"text": "y"}))
        assert home(body) == body

    def test_geminis_own_survive_a_client_of_anthropic(self) -> None:
        thinking = {"type": "thinking", "thinking": "hm", "signature": "anyllm:gemini:c:U0lH"}
        sent, losses = from_anthropic(user("x"), answer(thinking, {"type": "text", "text": "a"}, use()), user([result()]))
        assert sent["contents"][1]["parts"] == [
            {"text": "hm", "thought": True},
            {"text": "a"},
            {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "U0lH"},
        ]
        assert losses == {}

    def test_a_foreign_thought_is_left_out_and_announced(self) -> None:
        thinking = {"type": "thinking", "thinking": "hm", "signature": "RXJl"}
        sent, losses = from_anthropic(user("x"), answer(thinking, use()), user([result()]))
        assert [list(part) for part in sent["contents"][1]["parts"]] == [["functionCall"]]
        assert set(losses) == {"messages.1.content.0"}

    def test_newest_models_get_the_documented_word_on_an_unsigned_first_call(self) -> None:
        sent, _ = from_anthropic(user("x"), answer(use("1"), use("2")), user([result("1"), result("2")]), profile=GEMINI_3)
        signatures = [part.get("thoughtSignature") for part in sent["contents"][1]["parts"]]
        assert signatures == ["skip_thought_signature_validator", None]


class TestTools:
    def test_declarations_of_the_subset_become_json_schemas(self) -> None:
        """W183 of the reference: tools arrived without parameters."""
        schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
        tools = [{"functionDeclarations": [{"name": "f", "description": "d", "parameters": schema}, {"name": "g"}]}]
        sent = to_anthropic(asked(tools=tools))[0]["tools"]
        assert sent[0]["input_schema"] == {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
        assert home(asked(tools=tools))["tools"] == tools

    def test_a_json_schema_is_spliced_as_it_was_written(self) -> None:
        losses = Losses()
        raw = b'{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{ "type":"object","b":1.50 }}]}]}'
        out = anthropic_request.write_request(gemini_request.read_request(raw, losses), "m", PLAIN, losses)
        assert b'"input_schema":{ "type":"object","b":1.50 }' in out

    def test_googles_own_tools_are_read(self) -> None:
        """W143 and W183 of the reference: they failed to parse."""
        tools = [
            {"googleSearch": {"excludeDomains": ["a"]}, "functionDeclarations": [{"name": "f"}]},
            {"codeExecution": {}},
            {"urlContext": {}},
        ]
        sent, losses = to_anthropic(asked(tools=tools))
        assert sent["tools"][0]["type"].startswith("web_search") and sent["tools"][0]["blocked_domains"] == ["a"]
        assert set(losses) <= {"tools.1.codeExecution", "tools.2.urlContext"}
        assert home(asked(tools=tools))["tools"] == tools

    @pytest.mark.parametrize(
        ("config", "chat"),
        [
            ({"mode": "AUTO"}, "auto"),
            ({"mode": "NONE"}, "none"),
            ({"mode": "ANY"}, "required"),
            ({"mode": "any", "allowedFunctionNames": ["f"]}, {"type": "function", "function": {"name": "f"}}),
            ({"mode": "VALIDATED"}, "auto"),
        ],
    )
    def test_tool_choice(self, config: Json, chat: Any) -> None:
        """W183 of the reference: allowedFunctionNames in camelCase were ignored."""
        body = asked(tools=[{"functionDeclarations": [{"name": "f"}]}], toolConfig={"functionCallingConfig": config})
        assert to_chat(body)[0]["tool_choice"] == chat
        assert home(body)["toolConfig"] == {"functionCallingConfig": config}

    def test_several_allowed_functions(self) -> None:
        """W143 of the reference: only exactly one was taken."""
        config = {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}
        declared = [{"name": name, "parametersJsonSchema": {"type": "object"}} for name in "fgh"]
        body = asked(tools=[{"functionDeclarations": declared}], toolConfig={"functionCallingConfig": config})
        assert [tool["name"] for tool in to_anthropic(body)[0]["tools"]] == ["f", "g"]
        assert to_chat(body)[0]["tool_choice"]["allowed_tools"]["mode"] == "required"

    def test_functions_of_others(self) -> None:
        schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
        tool = {"name": "f", "description": "d", "input_schema": schema}
        sent, losses = from_anthropic(user("x"), tools=[tool], tool_choice={"type": "tool", "name": "f"})
        assert sent["tools"] == [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": schema}]}]
        assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
        sent, losses = from_anthropic(user("x"), tools=[tool], profile=SUBSET)
        assert sent["tools"][0]["functionDeclarations"][0]["parameters"]["properties"] == {"a": {"type": "STRING"}}
        assert losses == {}

    def test_a_function_without_parameters_has_none_in_the_subset(self) -> None:
        tool = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
        assert from_anthropic(user("x"), tools=[tool], profile=SUBSET)[0]["tools"] == [{"functionDeclarations": [{"name": "f"}]}]

    def test_names_that_gemini_refuses_are_given_back(self) -> None:
        losses = Losses()
        body = {"model": "m", "max_tokens": 5, "messages": [user("x")], "tools": [{"name": "9lives", "input_schema": {}}]}
        request = anthropic_request.read_request(json.dumps(body).encode(), losses)
        out = json.loads(gemini_request.write_request(request, "m", PLAIN, losses))
        name = out["tools"][0]["functionDeclarations"][0]["name"]
        assert name[0] == "_" and request.renamed[name.encode()] == b"9lives"

    def test_custom_tools_go_as_functions(self) -> None:
        custom = {"type": "custom", "custom": {"name": "patch", "description": "d"}}
        calls = [{"id": "1", "type": "custom", "custom": {"name": "patch", "input": "text"}}]
        messages = [user("x"), {"role": "assistant", "tool_calls": calls}, {"role": "tool", "tool_call_id": "1", "content": "ok"}]
        sent, losses = from_chat(*messages, tools=[custom])
        assert sent["contents"][1]["parts"][0]["functionCall"] == {"id": "1", "name": "patch", "args": {"input": "text"}}
        assert sent["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"] and losses == {}

    def test_googles_tools_stand_alone_or_beside_functions_where_the_model_takes_both(self) -> None:
        search = {"type": "web_search_20250305", "name": "web_search", "blocked_domains": ["a"]}
        tool = {"name": "f", "input_schema": {"type": "object"}}
        assert from_anthropic(user("x"), tools=[search])[0]["tools"] == [{"googleSearch": {"excludeDomains": ["a"]}}]
        sent, losses = from_anthropic(user("x"), tools=[search, tool])
        assert list(sent["tools"][0]) == ["functionDeclarations"] and set(losses) == {"tools.0"}
        sent, losses = from_anthropic(user("x"), tools=[search, tool], profile=Profile(server_tools_with_functions=True))
        assert len(sent["tools"]) == 2 and sent["toolConfig"]["includeServerSideToolInvocations"] is True and losses == {}

    def test_one_call_at_a_time_is_announced(self) -> None:
        tool = {"type": "function", "function": {"name": "f"}}
        assert set(from_chat(tools=[tool], parallel_tool_calls=False)[1]) == {"parallel_tool_calls"}


class TestConfig:
    @pytest.mark.parametrize(
        ("thinking", "chat"),
        [
            ({"thinkingBudget": 0}, "none"),
            ({"thinkingBudget": -1}, "high"),
            ({"thinkingBudget": 2048}, "medium"),
            ({"thinkingLevel": "HIGH"}, "high"),
            ({"thinkingLevel": "low", "includeThoughts": True}, "low"),
            ({"includeThoughts": True}, "high"),
            ({"includeThoughts": False}, None),
        ],
    )
    def test_thinking_of_gemini(self, thinking: Json, chat: str | None) -> None:
        """W143 and W183 of the reference: it was dropped, and -1 or a level alone refused."""
        body = asked(generationConfig={"thinkingConfig": thinking})
        assert to_chat(body)[0].get("reasoning_effort") == chat
        assert home(body) == body

    @pytest.mark.parametrize(
        ("asked_for", "budget", "level"),
        [
            ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, 5000, "HIGH"),
            ({"thinking": {"type": "adaptive"}}, -1, None),
            ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, 1024, "LOW"),
            ({"thinking": {"type": "disabled"}}, 0, "MINIMAL"),
            ({"output_config": {"effort": "max"}}, 16384, "HIGH"),
        ],
    )
    def test_thinking_of_anthropic(self, asked_for: Json, budget: int, level: str | None) -> None:
        config = from_anthropic(user("x"), **asked_for)[0]["generationConfig"]["thinkingConfig"]
        assert config["thinkingBudget"] == budget and config.get("includeThoughts", False) is (budget != 0)
        config = from_anthropic(user("x"), profile=GEMINI_3, **asked_for)[0]["generationConfig"]["thinkingConfig"]
        assert config.get("thinkingLevel") == level and "thinkingBudget" not in config

    def test_thoughts_that_nobody_wants_to_see_are_not_asked_for(self) -> None:
        sent, _ = from_anthropic(user("x"), thinking={"type": "adaptive", "display": "omitted"})
        assert sent["generationConfig"]["thinkingConfig"] == {"thinkingBudget": -1, "includeThoughts": False}

    def test_the_form_of_the_answer(self) -> None:
        """W143 of the reference: responseMimeType and responseSchema were dropped."""
        schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
        small = {"type": "object", "properties": {"a": {"type": "string"}}}
        for name in ("responseSchema", "responseJsonSchema"):
            body = asked(generationConfig={"responseMimeType": "application/json", name: schema})
            assert to_chat(body)[0]["response_format"]["json_schema"]["schema"] == small
            assert home(body) == body
        assert to_chat(asked(generationConfig={"responseMimeType": "application/json"}))[0]["response_format"] == {
            "type": "json_object"
        }
        enum = asked(generationConfig={"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}})
        assert set(to_chat(enum)[1]) == {"generationConfig.responseMimeType", "generationConfig.responseSchema"}
        assert home(enum) == enum

    def test_the_form_of_others(self) -> None:
        form = {
            "type": "json_schema",
            "json_schema": {"name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
        }
        config = from_chat(response_format=form)[0]["generationConfig"]
        assert config["responseMimeType"] == "application/json"
        assert config["responseJsonSchema"] == {"title": "n", "description": "d", "type": "object"}
        config = from_chat(response_format=form, profile=SUBSET)[0]["generationConfig"]
        assert config["responseSchema"] == {"type": "OBJECT", "description": "d", "title": "n"}

    def test_a_form_beside_functions_is_asked_for_in_words_where_the_model_takes_not_both(self) -> None:
        tool = {"type": "function", "function": {"name": "f"}}
        sent, losses = from_chat(tools=[tool], response_format={"type": "json_object"}, profile=Profile(format_with_tools=False))
        assert "generationConfig" not in sent and "JSON object" in sent["systemInstruction"]["parts"][0]["text"]
        assert set(losses) == {"response_format"}

    def test_sampling_limits_and_stops(self) -> None:
        sent, losses = from_anthropic(user("x"), temperature=0.5, top_p=0.9, top_k=7, stop_sequences=list("abcdefg"))
        assert sent["generationConfig"] == {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 7,
            "maxOutputTokens": 100,
            "stopSequences": list("abcde"),
        }
        assert set(losses) == {"stop_sequences.5", "stop_sequences.6"}

    def test_labels_go_to_hosts_that_keep_them(self) -> None:
        losses = Losses()
        request = Request(model="m", source="openai_chat")
        request.metadata = gemini_request.string_of("x")
        assert "labels" not in json.loads(gemini_request.write_request(request, "m", PLAIN, losses)) and dict(losses)
        assert "labels" in json.loads(gemini_request.write_request(request, "m", Profile(labels=True), Losses()))

    def test_service_tiers(self) -> None:
        assert home(asked(serviceTier="standard"))["serviceTier"] == "standard"
        assert home(asked(serviceTier="flex"))["serviceTier"] == "flex"
        assert from_chat(service_tier="default")[0]["serviceTier"] == "standard"
        assert set(from_chat(service_tier="scale")[1]) == {"service_tier"}


class TestContents:
    def test_neighbours_of_one_role_are_put_together(self) -> None:
        sent, _ = from_chat(user("a"), user("b"), {"role": "assistant", "content": "c"}, user("d"))
        assert [(content["role"], len(content["parts"])) for content in sent["contents"]] == [
            ("user", 2),
            ("model", 1),
            ("user", 1),
        ]

    def test_an_answer_that_opens_the_conversation_gets_a_user_before_it(self) -> None:
        sent, _ = from_chat({"role": "assistant", "content": "a"}, user("b"))
        assert [content["role"] for content in sent["contents"]] == ["user", "model", "user"]

    def test_a_system_prompt_alone_is_what_the_user_says(self) -> None:
        assert from_chat({"role": "system", "content": "s"})[0] == {"contents": [said({"text": "s"})]}

    def test_system_turns_in_the_middle_are_marked(self) -> None:
        sent, _ = from_chat(
            {"role": "system", "content": "s"},
            user("a"),
            {"role": "assistant", "content": "b"},
            {"role": "system", "content": "t"},
            user("c"),
        )
        assert sent["systemInstruction"] == {"parts": [{"text": "s"}]}
        assert sent["contents"][2]["parts"] == [{"text": "<system>\nt\n</system>"}, {"text": "c"}]

    def test_calls_and_results(self) -> None:
        """W70 of the reference: results were told apart by name alone."""
        sent, losses = from_anthropic(
            user("x"),
            answer(use("1"), use("2", "g")),
            user([result("2", "two", is_error=True), result("1"), {"type": "text", "text": "more"}]),
        )
        assert sent["contents"][2]["parts"] == [
            {"functionResponse": {"id": "1", "name": "f", "response": {"output": "done"}}},
            {"functionResponse": {"id": "2", "name": "g", "response": {"error": "two"}}},
            {"text": "more"},
        ]
        assert losses == {}

    def test_pictures_of_a_result_follow_it_or_are_inside(self) -> None:
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
        messages = (user("x"), answer(use()), user([result("c1", [{"type": "text", "text": "a"}, picture])]))
        data = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
        parts = from_anthropic(*messages)[0]["contents"][2]["parts"]
        assert parts[0]["functionResponse"]["response"] == {"output": "a\n[image 1 of this result follows]"}
        assert parts[1:] == [{"text": "[image 1 of the result of tool call c1]"}, data]
        parts = from_anthropic(*messages, profile=GEMINI_3)[0]["contents"][2]["parts"]
        assert parts == [{"functionResponse": {"id": "c1", "name": "f", "response": {"output": "a"}, "parts": [data]}}]

    def test_pictures_and_files(self) -> None:
        """W48 and W70 of the reference: PDFs and URL images were dropped."""
        content = [
            {"type": "image", "source": {"type": "url", "url": "https://a/b.webp?x=1"}},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                "title": "T",
                "context": "C",
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "image", "source": {"type": "file", "file_id": "files/1"}},
        ]
        sent, losses = from_anthropic(user(content))
        assert sent["contents"][0]["parts"] == [
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://a/b.webp?x=1"}},
            {"text": "Document: T\nC"},
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
            {"text": "words"},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "files/1"}},
        ]
        assert losses == {}

    def test_sounds(self) -> None:
        sent, _ = from_chat(user([{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}]))
        assert sent["contents"][0]["parts"] == [{"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}}]

    def test_the_detail_of_a_picture(self) -> None:
        picture = {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "high"}}
        assert set(from_chat(user([picture]))[1]) == {"messages.0.content.0.image_url.detail"}
        sent, losses = from_chat(user([picture]), profile=GEMINI_3)
        assert sent["contents"][0]["parts"][0]["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"} and losses == {}

    def test_cache_marks_are_announced(self) -> None:
        block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
        assert set(from_anthropic(user([block]))[1]) == {"messages.0.content.0.cache_control"}

    def test_a_line_of_accounting_stays_with_its_vendor(self) -> None:
        system = [{"type": "text", "text": "x-anthropic-billing-header: a"}, {"type": "text", "text": "s"}]
        assert from_anthropic(user("x"), system=system)[0]["systemInstruction"] == {"parts": [{"text": "s"}]}

    def test_nothing_but_what_cannot_be_sent_is_still_a_request(self) -> None:
        thinking = {"type": "thinking", "thinking": "hm", "signature": "RXJl"}
        sent, losses = from_anthropic(answer(thinking))
        assert sent["contents"] == [said({"text": "."})] and losses


# -- laws --------------------------------------------------------------------------------------------------------------

SIGNATURE = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
EXTRA = st.dictionaries(st.sampled_from(["xOne", "xTwo"]), st.integers() | WORDS, max_size=1)


def node(members: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(lambda one, more: {**one, **more}, members, EXTRA)


TEXT = node(st.builds(lambda text: {"text": text}, WORDS))
BLOB = st.builds(
    lambda data, kind: {"inlineData": {"mimeType": kind, "data": data}}, BASE64, st.sampled_from(["image/png", "application/pdf"])
)
FILE = st.sampled_from(
    [{"fileData": {"fileUri": "https://a/b.png"}}, {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://a/b"}}]
)
THOUGHT = st.builds(lambda text: {"text": text, "thought": True}, WORDS)
CODE = st.builds(lambda code: {"executableCode": {"language": "PYTHON", "code": code}}, WORDS)
SAID = (
    st.builds(lambda text: {"output": text}, WORDS)
    | st.builds(lambda text: {"error": text}, WORDS)
    | OBJECT.map(lambda said: {"x": said})
)


@st.composite
def signed(draw: st.DrawFn, parts: st.SearchStrategy[Json]) -> Json:
    part = draw(parts)
    return {**part, "thoughtSignature": draw(SIGNATURE)} if draw(st.booleans()) else part


@st.composite
def turns(draw: st.DrawFn, rounds: st.SearchStrategy[int] | None = None) -> list[Json]:
    contents: list[Json] = []
    for number in range(draw(rounds or st.integers(0, 3))):
        contents.append(said(*draw(st.lists(TEXT | BLOB | FILE, min_size=1, max_size=3))))
        parts = draw(st.lists(THOUGHT | signed(TEXT) | CODE, max_size=3))
        named = draw(st.booleans())
        calls = draw(st.lists(st.tuples(NAME, OBJECT), max_size=2))
        for at, (name, args) in enumerate(calls):
            ident = {"id": f"id_{number}_{at}"} if named else {}
            part = {"functionCall": {**ident, "name": name, "args": args}}
            parts.append({**part, "thoughtSignature": draw(SIGNATURE)} if at == 0 and draw(st.booleans()) else part)
        if parts:
            contents.append(said(*parts, role="model"))
        if calls:
            responses = [
                {"functionResponse": {**({"id": f"id_{number}_{at}"} if named else {}), "name": name, "response": draw(SAID)}}
                for at, (name, _) in enumerate(calls)
            ]
            contents.append(said(*responses))
    return contents


DECLARED = st.builds(
    lambda name, schema: {"functionDeclarations": [{"name": name, **schema}]},
    NAME,
    st.sampled_from(
        [
            {},
            {"parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
            {"parametersJsonSchema": {"type": "object"}},
        ]
    ),
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "topK": st.integers(1, 40),
        "maxOutputTokens": st.integers(1, 9),
        "stopSequences": st.lists(WORDS, max_size=6),
        "seed": st.integers(-5, 5),
        "thinkingConfig": st.sampled_from([{"thinkingBudget": 0}, {"include_thoughts": True}, {"thinkingLevel": "LOW"}]),
        "responseMimeType": st.sampled_from(["application/json", "text/plain"]),
        "candidateCount": st.integers(1, 2),
        "speechConfig": st.just({"languageCode": "de"}),
    },
)


@st.composite
def gemini_requests(draw: st.DrawFn) -> Json:
    body: Json = {"contents": draw(turns())}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "systemInstruction": st.lists(TEXT, min_size=1, max_size=2).map(lambda parts: {"parts": parts}) | WORDS,
        "tools": st.lists(DECLARED | st.just({"googleSearch": {}}), min_size=1, max_size=2),
        "toolConfig": st.just({"functionCallingConfig": {"mode": "VALIDATED"}, "retrievalConfig": {"languageCode": "de"}}),
        "generationConfig": CONFIG,
        "safetySettings": st.just([{"category": "x"}]),
        "cachedContent": st.just("cachedContents/1"),
        "labels": st.just({"a": "b"}),
        "store": st.booleans(),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            body[name] = draw(values)
    return body


@LIMITS
@given(body=gemini_requests(), spelling=SPELLINGS)
def test_a_request_comes_home_as_it_left(body: Json, spelling: tuple[bool, int | None]) -> None:
    losses = Losses()
    written = gemini_request.write_request(gemini_request.read_request(spelled(body, *spelling), losses), "m", PLAIN, losses)
    expected = copy.deepcopy(body)
    if expected.get("generationConfig") == {}:
        del expected["generationConfig"]
    assert json.loads(written) == expected and not losses


@LIMITS
@given(body=gemini_requests(), target=st.sampled_from([anthropic_request, openai_chat_request]))
def test_a_request_is_translated_or_refused_with_its_path(body: Json, target: Any) -> None:
    try:
        translated(gemini_request, target, body)
    except InvalidRequest as error:
        assert error.where


@LIMITS
@given(body=turns(), more=turns(st.just(1)), target=st.sampled_from([anthropic_request, openai_chat_request, gemini_request]))
def test_a_longer_conversation_only_adds_to_the_end_of_the_body(body: list[Json], more: list[Json], target: Any) -> None:
    shorter, longer = (
        target.write_request(gemini_request.read_request(spelled({"contents": contents}), Losses()), "m", PLAIN, Losses())
        for contents in ([*body, said({"text": "end"})], [*body, said({"text": "end"}), said({"text": "a"}, role="model"), *more])
    )
    assert shorter.endswith(b"]}") and longer.startswith(shorter[:-2])


@pytest.mark.parametrize("profile", [PLAIN, GEMINI_3, SUBSET])
@LIMITS
@given(data=st.data())
def test_what_others_ask_is_a_request_of_the_published_types(profile: Profile, data: st.DataObject) -> None:
    source, requests = data.draw(st.sampled_from([(anthropic_request, anthropic_requests), (openai_chat_request, chat_requests)]))
    body = data.draw(requests())
    losses = Losses()
    try:
        written = gemini_request.write_request(source.read_request(spelled(body), losses), "m", profile, losses)
    except InvalidRequest as error:
        assert error.where
        return
    out = json.loads(written)
    check(out)
    roles = [content["role"] for content in out["contents"]]
    assert all(one != other for one, other in zip(roles, roles[1:], strict=False)) and roles[:1] in ([], ["user"])


@LIMITS
@given(data=st.data())
def test_a_longer_conversation_of_another_dialect_only_adds_to_the_end(data: st.DataObject) -> None:
    source, requests, more = data.draw(
        st.sampled_from(
            [(anthropic_request, anthropic_requests, anthropic_turns), (openai_chat_request, chat_requests, chat_turns)]
        )
    )
    body = data.draw(requests(foreign=False))
    longer = copy.deepcopy(body)
    longer["messages"] += [
        {"role": "assistant", "content": "wanswerw"},
        *(m for m in data.draw(more(st.just(1), foreign=False)) if m["role"] not in ("system", "developer")),
    ]
    short, long = (
        gemini_request.write_request(source.read_request(spelled(each), Losses()), "m", PLAIN, Losses())
        for each in (body, longer)
    )
    if body["messages"]:
        assert short.endswith(b"]}") and long.startswith(short[: -len(b"]}")])
