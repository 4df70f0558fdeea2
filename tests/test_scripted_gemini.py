"""Tests of the scripted Gemini: it refuses what the real service refuses, and reads what it was sent."""

from __future__ import annotations

from typing import Any

import pytest
from scripted.answer import Call, Document, Image, Result, Text
from scripted.asked import Asked, Tool, assistant, user
from scripted.gemini_asked import read_gemini, write_gemini
from scripted.gemini_rules import refusal_of
from scripted.gemini_signing import SKIPS, fits, sign_call, sign_text

NEW, OLD = "gemini-3-pro-preview", "gemini-2.5-flash"
HI = {"role": "user", "parts": [{"text": "hi"}]}
CALL = {"functionCall": {"id": "c1", "name": "f", "args": {"b": 1, "a": "é"}}}
SIGNED = {**CALL, "thoughtSignature": sign_call("f", {"a": "é", "b": 1})}
CALLED = {"role": "model", "parts": [CALL]}
GIVEN = {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "x"}}}
ANSWERED = {"role": "user", "parts": [GIVEN]}
TOOL = {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}


def refused(body: dict[str, Any], model: str = OLD) -> str:
    refusal = refusal_of({"contents": [HI], **body}, model)
    return refusal.message if refusal else ""


def parts(*given: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(given)}]}


def config(**given: Any) -> dict[str, Any]:
    return {"generationConfig": given}


def schema(**given: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": given}}}]}]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"user": "x"}, 'Unknown name "user": Cannot find field.'),
    ({"labels": {"a": "b"}}, 'Unknown name "labels"'),
    (parts({"text": "x", "cache_control": {}}), "Unknown name \"cache_control\" at 'contents[0].parts[0]'"),
    (parts({"inline_data": {"mime_type": "image/png", "data": "!"}}), "contents[0].parts[0].inline_data.data"),
    (parts({"inlineData": {"mimeType": "image/tiff", "data": "QUFB"}}), "Unsupported MIME type"),
    (parts({"text": "x", "functionCall": {"name": "f"}}), "oneof"),
    (parts({}), "required oneof field 'data'"),
    ({"contents": []}, "contents is not specified"),
    ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
    ({"contents": [{"role": "model", "parts": [{"text": "x"}]}, HI]}, "begin with a user"),
    ({"contents": [HI, HI]}, "alternate"),
    ({"contents": [HI, CALLED]}, "end with a user role"),
    ({"contents": [HI, CALLED, HI]}, "number of function response parts is equal"),
    (
        {"contents": [HI, CALLED, {"role": "user", "parts": [GIVEN, {"functionResponse": {"name": "f", "response": {}}}]}]},
        "equal",
    ),
    ({"contents": [ANSWERED]}, "immediately after a function call turn"),
    (
        {"contents": [HI, {"role": "model", "parts": [{**SIGNED, "thoughtSignature": "QUFB"}]}, ANSWERED]},
        "Invalid thought signature",
    ),
    ({"contents": [HI, {"role": "model", "parts": [{**CALL, "thoughtSignature": sign_text()}]}, ANSWERED]}, "Invalid thought"),
    ({"tools": [{"functionDeclarations": [{"name": "1f"}]}]}, "Invalid function name"),
    ({"tools": [TOOL, TOOL]}, "Duplicate function declaration"),
    ({"tools": [TOOL, {"googleSearch": {}}]}, "unsupported"),
    ({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}]}, "non-empty for OBJECT"),
    (schema(type="OBJECT", properties={"b": {"type": "STRING"}}, additionalProperties=False), '"additionalProperties"'),
    (schema(const="x"), 'Unknown name "const"'),
    (schema(type="INTEGER", enum=["1"]), "only allowed for STRING"),
    (schema(type="ARRAY"), "items: missing field"),
    (schema(type="STRING", format="uri"), "format"),
    (schema(), "type: must be specified"),
    ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "without function_declarations"),
    ({"tools": [TOOL], "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["f"]}}}, "ANY"),
    (config(temperature=2.5), "temperature"),
    (config(stopSequences=list("abcdef")), "stop_sequences"),
    (config(logprobs=3), "response_logprobs"),
    (config(thinkingConfig={"thinkingLevel": "HIGH"}), "not supported"),
    (config(thinkingConfig={"thinkingLevel": "HIGH", "thinkingBudget": 5}), "only one of"),
    (config(responseJsonSchema={"type": "object"}), "application/json"),
    ({"tools": [TOOL], **config(responseMimeType="application/json")}, "unsupported"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_what_the_service_refuses_is_refused(body: dict[str, Any], words: str) -> None:
    assert words in refused(body)


TAKEN: list[dict[str, Any]] = [
    {},
    {
        "system_instruction": {"parts": [{"text": "x"}]},
        "generation_config": {"top_k": 5.0, "thinkingConfig": {"include_thoughts": True}},
    },
    {"contents": [HI, {"role": "model", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}, HI]},
    {"contents": [HI, CALLED, ANSWERED], "tools": [TOOL]},
    {"contents": [HI, CALLED, {"role": "user", "parts": [GIVEN, GIVEN]}]},
    {"contents": [HI, {"role": "model", "parts": [SIGNED]}, ANSWERED]},
    schema(type="string", nullable=True, enum=["a"]),
    {"tools": [TOOL], "toolConfig": {"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["f"]}}},
]


@pytest.mark.parametrize("body", TAKEN)
def test_what_the_service_takes_is_taken(body: dict[str, Any]) -> None:
    assert refused(body) == ""


def test_newer_models_demand_the_signature_of_the_current_turn() -> None:
    assert "missing a thought_signature" in refused({"contents": [HI, CALLED, ANSWERED]}, NEW)
    assert refused({"contents": [HI, {"role": "model", "parts": [SIGNED]}, ANSWERED]}, NEW) == ""
    assert refused({"contents": [HI, {"role": "model", "parts": [{**CALL, "thoughtSignature": SKIPS[0]}]}, ANSWERED]}, NEW) == ""
    past = [HI, CALLED, ANSWERED, {"role": "model", "parts": [{"text": "done"}]}, HI]
    assert refused({"contents": past}, NEW) == ""


def test_a_signature_fits_only_the_part_that_it_was_given_on() -> None:
    assert fits(SIGNED["thoughtSignature"], SIGNED) and fits(sign_text(), {"text": "any"})
    assert fits(SIGNED["thoughtSignature"].replace("+", "-").replace("/", "_"), SIGNED)
    assert not fits(SIGNED["thoughtSignature"], {"functionCall": {"name": "f", "args": {"a": "e", "b": 1}}})
    assert not fits(sign_text(), SIGNED) and not fits(sign_text()[:-4] + "AAAA", {"text": "any"})


def test_what_was_asked_is_read_as_it_was_written() -> None:
    turns = (
        user("look", Image("image/png", "QUFB"), Document("QkJC", name="paper.pdf")),
        assistant("Hm.", Call("f", {"b": 1, "a": 2}, "c1"), Call("f", {}, "c2")),
        user(Result("c1", (Text("x"),)), Result("c2", (Text("no"),), failed=True)),
    )
    asked = Asked(
        turns,
        ("be terse",),
        (Tool("f", "does f"),),
        choice="tool:f",
        temperature=0.5,
        top_p=0.5,
        stops=("END",),
        budget=2000,
        schema={"type": "object"},
    )
    assert read_gemini(write_gemini(asked, OLD)) == asked


def test_calls_without_ids_are_paired_by_their_names() -> None:
    call, answer = {"functionCall": {"name": "f"}}, {"functionResponse": {"name": "f", "response": {"result": 1}}}
    asked = read_gemini({"contents": [HI, {"role": "model", "parts": [call, call]}, {"role": "user", "parts": [answer, answer]}]})
    assert [p.id for p in asked.turns[1].parts if isinstance(p, Call)] == ["~1~0~f", "~1~1~f"]
    assert [p.id for p in asked.turns[2].parts if isinstance(p, Result)] == ["~1~0~f", "~1~1~f"]
