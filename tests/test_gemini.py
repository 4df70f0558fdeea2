"""anyllm_fast/dialects/gemini: what it does beside requests, replies and streams. Peek, errors, models lists, counts."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from anyllm_fast.dialects.gemini import GEMINI, METHODS
from anyllm_fast.dialects.upstream_error import OVERFLOW, read_error
from anyllm_fast.errors import (
    STATUS_OF,
    GatewayError,
    Internal,
    InvalidRequest,
    Kind,
    NotFound,
    RateLimited,
    Unauthenticated,
    UpstreamRefused,
    UpstreamUnreachable,
)
from anyllm_fast.neutral.dialect import ModelInfo, Peek
from anyllm_fast.neutral.reply import Reply, TextPart
from tests.streams import PYTHON, corpus, load, record

CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED"}
CODES |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 405: "UNIMPLEMENTED"}


def body_of(error: GatewayError, request_id: str = "") -> Any:
    return json.loads(GEMINI.write_error(error, request_id))["error"]


def answered(body: bytes, status: int = 200) -> genai.Client:
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, content=body, headers={"content-type": "application/json"})
    )
    options = types.HttpOptions(base_url="http://gateway.invalid", httpx_client=httpx.Client(transport=transport))
    return genai.Client(api_key="k", http_options=options)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"contents":[],"model":7}', b'{"model":"a","model":"b","stream":"x"}', '{"x":"é"}'.encode()]
)
def test_peek_asks_only_for_a_sound_object(body: bytes) -> None:
    assert GEMINI.peek(body) == Peek("", False, True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"[]", "expected an object, got an array"),
        (b"{", "it ends too early"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":"\\ud800"}', "half of a surrogate pair"),
        (b'{"a":' + b"[" * 99999, "nested too deeply"),
    ],
)
def test_peek_refuses_what_is_none(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        GEMINI.peek(body)


@pytest.mark.parametrize("kind", STATUS_OF)
def test_every_kind_has_googles_status_and_word_and_the_body_says_both(kind: Kind) -> None:
    error = UpstreamRefused("why", status=STATUS_OF[kind], kind=kind)
    body = body_of(error)
    assert body["code"] == GEMINI.status_of(error)
    assert body["status"] == CODES[body["code"]] and body["message"] == "why" and "details" not in body


@pytest.mark.parametrize(("status", "word"), [(500, "INTERNAL"), (501, "UNIMPLEMENTED"), (502, "UNAVAILABLE"), (520, "INTERNAL")])
def test_a_servers_fault_keeps_its_status(status: int, word: str) -> None:
    error = UpstreamRefused("x", status=status, kind="api")
    assert (GEMINI.status_of(error), body_of(error)["status"]) == (status, word)
    assert GEMINI.status_of(Internal("x")) == 500 and GEMINI.status_of(UpstreamUnreachable("x")) == 502


def test_details_say_what_clients_act_on() -> None:
    error = RateLimited("slow", code="tokens_per_minute", headers=[(b"Retry-After", b"12"), (b"x", b"y")])
    details = {one["@type"].rpartition(".")[2]: one for one in body_of(error, "req_1")["details"]}
    assert details["RetryInfo"]["retryDelay"] == "12s"
    assert details["ErrorInfo"]["reason"] == "tokens_per_minute"
    assert details["RequestInfo"]["requestId"] == "req_1"
    late = RateLimited("slow", headers=[(b"retry-after", b"Wed, 21 Oct 2026 07:28:00 GMT")])
    assert "details" not in body_of(late)
    wrong = body_of(InvalidRequest("expected a string", where="contents.0.role"))
    assert wrong["message"] == "contents.0.role: expected a string"
    assert wrong["details"][0]["fieldViolations"] == [{"field": "contents.0.role", "description": "expected a string"}]


def test_a_prompt_that_is_too_long_is_said_in_googles_words() -> None:
    failure = read_error(400, b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}')
    error = UpstreamRefused(failure.message, status=400, kind=failure.kind, code=failure.code)
    assert error.code == OVERFLOW
    assert body_of(error)["message"].startswith(
        "The input token count (210000) exceeds the maximum number of tokens allowed (200000)."
    )


@pytest.mark.parametrize("error", [Unauthenticated("no"), NotFound("no"), RateLimited("no"), Internal("no")])
def test_google_genai_raises_what_was_meant(error: GatewayError) -> None:
    status = GEMINI.status_of(error)
    with pytest.raises(errors.APIError) as caught:
        answered(GEMINI.write_error(error, "r"), status).models.generate_content(model="m", contents="x")
    assert (caught.value.code, caught.value.message, caught.value.status) == (status, "no", CODES[status])


def test_models_are_written_as_the_sdk_reads_them_and_read_again() -> None:
    infos = [ModelInfo("gpt-5", 7, "openai", "GPT-5"), ModelInfo("claude/x:1")]
    body = GEMINI.write_models(infos)
    assert json.loads(body)["models"][0]["supportedGenerationMethods"] == METHODS
    found = list(answered(body).models.list())
    assert [(one.name, one.display_name) for one in found] == [("models/gpt-5", "GPT-5"), ("models/claude/x:1", "claude/x:1")]
    assert [(one.id, one.display_name) for one in GEMINI.read_models(body)] == [("gpt-5", "GPT-5"), ("claude/x:1", "claude/x:1")]
    assert answered(GEMINI.write_model(infos[0])).models.get(model="gpt-5").name == "models/gpt-5"


def test_vertex_lists_its_publishers_models() -> None:
    body = b'{"publisherModels":[{"name":"publishers/google/models/gemini-2.5-pro","versionId":"default"},{"name":""},{}]}'
    assert [one.id for one in GEMINI.read_models(body)] == ["gemini-2.5-pro"]
    for wrong in (b"[]", b"<html>", b'{"models":[1]}'):
        with pytest.raises(ValueError):
            GEMINI.read_models(wrong)


def test_a_count_of_tokens() -> None:
    assert GEMINI.read_count(GEMINI.write_count(31)) == 31
    assert answered(GEMINI.write_count(31)).models.count_tokens(model="m", contents="x").total_tokens == 31
    with pytest.raises(ValueError):
        GEMINI.read_count(b'{"input_tokens":3}')


@pytest.mark.parametrize("name", corpus("gemini"))
def test_a_stream_is_read_from_events_and_from_an_array_alike(name: str) -> None:
    frames = [line[6:] for line in load(name).splitlines() if line.startswith(b"data: ")]
    read = GEMINI.read_stream(b"[" + b",\r\n".join(frames) + b"\n]\n", 1 << 20)
    assert read == GEMINI.read_stream(load(name), 1 << 20) == record(PYTHON, load(name), "gemini")


def test_an_array_that_is_none_is_a_failure() -> None:
    assert "cannot be read" in (GEMINI.read_stream(b'[{"candidates":', 9).failure or pytest.fail()).message
    assert GEMINI.read_stream(b"[]", 9).failure is not None
    whole = b'[{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}]'
    assert GEMINI.read_stream(whole, 9) == Reply(parts=[TextPart(b"x")], stop_reason="end_turn", ended=True)


def test_nothing_is_sent_to_keep_a_connection_open() -> None:
    """Its SDKs take any line but data for a fault."""
    assert GEMINI.keepalive == b"" and GEMINI.content_type_stream.startswith(b"text/event-stream")
