"""Tests of the scripted Bedrock: it refuses what the real service refuses, and botocore reads what it frames."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from scripted import bedrock_invoke
from scripted.answer import Call, Document, Image, Result, Text
from scripted.asked import Asked, Tool, assistant, user
from scripted.aws_frames import corrupted, event, exception
from scripted.aws_signature import KEY_ID, REGION, SECRET, refusal_of_signature
from scripted.bedrock_asked import read_converse, write_converse
from scripted.bedrock_rules import refusal_of
from scripted.signing import sign
from scripted.wire import Request

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HI = {"role": "user", "content": [{"text": "hi"}]}
TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
USE = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}
GIVEN = {"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}]}}
POINT = {"cachePoint": {"type": "default"}}
PDF = {"document": {"format": "pdf", "name": "a", "source": {"bytes": "JVBERi0="}}}


def said(role: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(content)}


def thought(text: str, signature: str) -> list[dict[str, Any]]:
    block = {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}
    return [HI, said("assistant", block, {"text": "so"}), HI]


def refused(**body: Any) -> str:
    refusal = refusal_of(MODEL, {"messages": [HI], **body}, "Converse")
    return refusal.message if refusal else ""


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": "x"}, "extraneous key [model]"),
    ({"messages": [said("assistant", {"text": "x"})]}, "must start with a user message"),
    ({"messages": [HI, HI]}, "must alternate"),
    ({"messages": [said("user")]}, "is empty"),
    ({"messages": [said("user", {"text": " "})]}, "is blank"),
    ({"messages": [said("user", {"text": "x", "image": {}})]}, "format"),
    ({"messages": [said("user", {"text": "x", **POINT})]}, "exactly one member"),
    ({"messages": [HI, said("assistant", USE), said("user", GIVEN)]}, "toolConfig field must be defined"),
    ({"messages": [HI, said("assistant", USE), HI], "toolConfig": TOOLS}, "for the following Ids: t1"),
    ({"messages": [HI, said("assistant", USE), said("user", GIVEN, GIVEN)], "toolConfig": TOOLS}, "exceeds the number"),
    ({"messages": [said("user", GIVEN)], "toolConfig": TOOLS}, "exceeds the number"),
    ({"messages": [said("user", USE)], "toolConfig": TOOLS}, "cannot be used with the user role"),
    ({"toolConfig": {"tools": []}}, "greater than or equal to 1"),
    ({"toolConfig": {**TOOLS, "toolChoice": {"tool": {"name": "g"}}}}, "is not in toolConfig.tools"),
    ({"toolConfig": {**TOOLS, "toolChoice": {"none": {}}}}, "extraneous key [none]"),
    ({"messages": [said("user", PDF)]}, "text content block must be included"),
    ({"messages": [said("user", {"text": "x"}, PDF, PDF)]}, "same name"),
    ({"messages": [said("user", {"text": "x"}, {"document": {**PDF["document"], "name": "a.pdf"}})]}, "file name"),
    ({"messages": [said("user", {"text": "x"}, {"image": {"format": "png", "source": {"bytes": "?"}}})]}, "no base64"),
    ({"messages": [said("user", POINT, {"text": "x"})]}, "must follow the content"),
    ({"system": [{"text": "a"}, POINT, {"text": "b"}, POINT] * 3}, "maximum of 4"),
    ({"messages": thought("hm", "eA==")}, "Invalid `signature`"),
    ({"inferenceConfig": {"temperature": 1.5}}, "less than or equal to 1"),
    ({"inferenceConfig": {"temperature": 0.5, "topP": 0.5}}, "cannot both be specified"),
    ({"additionalModelRequestFields": {"seed": 1}}, "extraneous key [seed]"),
    ({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 5}}}, "1024"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED, ids=[f"{i} {words}" for i, (_, words) in enumerate(REFUSED)])
def test_converse_refuses(body: dict[str, Any], words: str) -> None:
    assert words in refused(**body)


def test_converse_takes_what_is_right() -> None:
    assert not refused()
    assert not refused(messages=thought("hm", sign("hm")))
    assert not refused(messages=[HI, said("assistant", {"text": "x"}, USE), said("user", GIVEN, POINT)], toolConfig=TOOLS)
    assert not refused(messages=[said("user", {"text": "x"}, PDF)], system=[{"text": "a"}, POINT])
    assert refusal_of("claude-sonnet", {"messages": [HI]}, "Converse") is not None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "x"}, "model: Extra inputs"),
        ({"stream": True}, "stream: Extra inputs"),
        ({"anthropic_version": "2023-06-01"}, "Invalid API version"),
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "at least one message"),
    ],
)
def test_invoke_model_refuses(body: dict[str, Any], words: str) -> None:
    right = {"anthropic_version": bedrock_invoke.VERSION, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    assert bedrock_invoke.refusal_of(MODEL, right) is None
    refusal = bedrock_invoke.refusal_of(MODEL, {**right, **body})
    assert refusal is not None and words in refusal.message and refusal.kind == "ValidationException"


def signed(body: bytes, secret: str = SECRET, **headers: str) -> Request:
    target = "/model/us.anthropic.claude-v1%3A0/converse"
    given = AWSRequest("POST", f"http://127.0.0.1:9{target}", headers={"host": "127.0.0.1:9", **headers}, data=body)
    SigV4Auth(Credentials(KEY_ID, secret), "bedrock", REGION).add_auth(given)
    return Request("POST", target, list(given.headers.items()), body)


def test_a_signature_is_checked_over_all_that_arrived() -> None:
    assert refusal_of_signature(signed(b"{}", **{"x-api-key": "k"})) is None
    altered = [
        Request("POST", r.target, r.headers, b"{ }")
        if how == "body"
        else Request("POST", r.target.replace("v1", "v2"), r.headers, r.body)
        if how == "path"
        else Request("POST", r.target, [(k, "other" if k == "x-api-key" else v) for k, v in r.headers], r.body)
        for how in ("body", "path", "header")
        for r in [signed(b"{}", **{"x-api-key": "k"})]
    ]
    for request in (*altered, signed(b"{}", "guess")):
        refusal = refusal_of_signature(request)
        assert refusal is not None and refusal.status == 403 and refusal.kind == "InvalidSignatureException"
    missing = refusal_of_signature(Request("POST", "/", [], b""))
    assert missing is not None and missing.kind == "MissingAuthenticationTokenException"


def test_botocore_reads_the_messages() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(event("chunk", b'{"a":1}') + exception("throttlingException", b"{}"))
    first, second = list(buffer)
    assert first.headers == {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    assert first.payload == b'{"a":1}' and second.headers[":exception-type"] == "throttlingException"
    broken = EventStreamBuffer()
    broken.add_data(corrupted(event("chunk", b'{"a":1}')))
    with pytest.raises(ChecksumMismatch):
        list(broken)


def test_a_question_is_read_as_it_was_written() -> None:
    data = base64.b64encode(b"x").decode()
    asked = Asked(
        turns=(
            user("hi", Image("image/png", data), Document(data, name="a b")),
            assistant("so", Call("f", {"b": 1, "a": 2}, "t1")),
            user(Result("t1", (Text("x"),), failed=True)),
        ),
        system=("s",),
        tools=(Tool("f", "about", {"type": "object"}, strict=True),),
        choice="tool:f",
        temperature=0.5,
        stops=("END",),
        budget=2000,
        schema={"zeta": 1, "alpha": 2},
    )
    assert read_converse(write_converse(asked, MODEL)) == asked
