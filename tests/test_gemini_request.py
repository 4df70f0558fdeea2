"""Gemini requests: what the reader takes and refuses; tools and generationConfig, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.dialects import anthropic_request, gemini_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request
from tests.gemini_bodies import (
    GEMINI_3,
    PIXEL,
    PLAIN,
    SUBSET,
    Json,
    asked,
    call,
    from_anthropic,
    from_chat,
    home,
    read,
    response,
    said,
    to_anthropic,
    to_chat,
    user,
)


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
        schema = b'{ "type":"object","b":1.50 }'
        raw = b'{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":%b}]}]}' % schema
        out = anthropic_request.write_request(gemini_request.read_request(raw, losses), "m", PLAIN, losses)
        assert b'"input_schema":%b' % schema in out

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
        """W143 of the reference: responseMimeType and responseSchema were dropped. An object of the older kind has no other
        properties than it names."""
        schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
        small = {"type": "object", "properties": {"a": {"type": "string"}}}
        for name, more in (("responseSchema", {"additionalProperties": False}), ("responseJsonSchema", {})):
            body = asked(generationConfig={"responseMimeType": "application/json", name: schema})
            assert to_chat(body)[0]["response_format"]["json_schema"]["schema"] == small | more
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
        request.metadata = Raw(b'{"a":"b"}')
        assert "labels" not in json.loads(gemini_request.write_request(request, "m", PLAIN, losses)) and dict(losses)
        assert "labels" in json.loads(gemini_request.write_request(request, "m", Profile(labels=True), Losses()))

    def test_service_tiers(self) -> None:
        assert home(asked(serviceTier="standard"))["serviceTier"] == "standard"
        assert home(asked(serviceTier="flex"))["serviceTier"] == "flex"
        assert from_chat(service_tier="default")[0]["serviceTier"] == "standard"
        assert set(from_chat(service_tier="scale")[1]) == {"service_tier"}
