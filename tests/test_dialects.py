"""anyllm_fast/dialects: what a dialect object does beside requests, replies and streams. Peek, errors, models lists."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.dialects.anthropic import ANTHROPIC
from anyllm_fast.dialects.openai_chat import OPENAI_CHAT
from anyllm_fast.dialects.upstream_error import MAX_MESSAGE, OVERFLOW
from anyllm_fast.errors import (
    STATUS_OF,
    GatewayError,
    Internal,
    InvalidRequest,
    Kind,
    NotFound,
    Unauthenticated,
    UpstreamRefused,
    UpstreamUnreachable,
)
from anyllm_fast.neutral.dialect import Dialect, ModelInfo, Peek
from anyllm_fast.neutral.stream import Failure
from tests.facts import EACH as NAMES
from tests.facts import FACTS
from tests.replies import OPTIONS
from tests.sdk_judges import Caught, raised

EACH = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
KINDS: list[Kind] = list(STATUS_OF)


def test_the_table_has_each_dialect_under_its_own_name() -> None:
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {name: name for name in NAMES}


@EACH
def test_a_pipe_to_the_same_dialect_watches_and_to_another_translates(dialect: Dialect) -> None:
    for client in DIALECTS.values():
        made = dialect.open_pipe(client, OPTIONS, 1 << 20)
        assert type(made).__name__ == ("Watch" if client is dialect else "Pipe")


# -- peek --------------------------------------------------------------------------------------------------------------

IN_THE_PATH = Peek("", False, True)
"""What a body says where the path names the model and whether it is a stream, and usage comes with every reply."""


@EACH
@pytest.mark.parametrize(
    ("body", "peek"),
    [
        (b'{"model":"m"}', Peek("m", False, False)),
        (b' {"stream" : true , "model":"a/b\\u00e9" } ', Peek("a/bé", True, False)),
        (b'{"model":"m","stream":null,"stream_options":null}', Peek("m", False, False)),
        (b'{"model":"m","stream":false,"stream_options":{}}', Peek("m", False, False)),
        (b'{"model":"m","stream":true,"stream_options":{"include_usage":true,"x":1}}', Peek("m", True, True)),
        (b'{"model":"m","messages":[{"model":"n","stream":1}]}', Peek("m", False, False)),
        (b'{"model":"m","model":"m","stream":true,"stream":true}', Peek("m", True, False)),
        ('{"model":"日本","x":"\\ud83d\\ude00 \\\\ud800"}'.encode(), Peek("日本", False, False)),
        (b'{"model":"m","x":' + b"[" * 100 + b"]" * 100 + b"}", Peek("m", False, False)),
    ],
)
def test_model_and_stream_are_found_wherever_they_stand(dialect: Dialect, body: bytes, peek: Peek) -> None:
    assert dialect.peek(body) == (peek if FACTS[dialect.name].model_in_body else IN_THE_PATH)


@EACH
@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        (b"", "", "the body is empty"),
        (b" \n", "", "the body is empty"),
        (b"not json", "", "the body is not valid JSON: invalid character"),
        (b'{"model":"m"', "", "the body is not valid JSON: it ends too early (byte 12)"),
        (b'{"model":"m"} x', "", "the body is not valid JSON: trailing characters (byte 15)"),
        (b"[]", "body", "expected an object, got an array"),
        (b"null", "body", "expected an object, got null"),
        (b'"x"', "body", "expected an object, got a string"),
        (b"{}", "model", "required"),
        (b'{"model":null}', "model", "required"),
        (b'{"model":3}', "model", "expected a string, got an integer"),
        (b'{"model":["m"]}', "model", "expected a string, got an array"),
        (b'{"model":""}', "model", "must not be empty"),
        (b'{"model":"%b"}' % (b"x" * 3000), "model", "longer than 2048 characters"),
        (b'{"model":"m","stream":1}', "stream", "expected true or false, got an integer"),
        (b'{"model":"m","stream":"true"}', "stream", "expected true or false, got a string"),
        (b'{"model":"m","stream_options":[]}', "stream_options", "expected an object, got an array"),
        (b'{"model":"m","stream_options":{"include_usage":0}}', "stream_options.include_usage", "expected true or false"),
        (b'{"model":"m","model":"n"}', "model", "given twice, with different values"),
        (b'{"model":"m","mod\\u0065l":"n"}', "model", "given twice, with different values"),
        (b'{"model":"m","stream":true,"stream":false}', "stream", "given twice, with different values"),
        (b'{"model":"m","x":"\xff"}', "", "the body is not UTF-8 (byte 18)"),
        (b'{"model":"m","x":"\xed\xa0\x80"}', "", "the body is not UTF-8 (byte 18)"),
        (b'{"model":"m","x":"ab\\ud800"}', "", "the body has an escape that is half of a surrogate pair (byte 20)"),
        (b'{"model":"m","x":"\\udc00\\ud800"}', "", "the body has an escape that is half of a surrogate pair (byte 18)"),
        (b'{"model":"m","x":"\\ud83d\\ude00\\ude00"}', "", "the body has an escape that is half of a surrogate pair (byte 30)"),
        (b'{"model":"m","x":NaN}', "", "the body is not valid JSON: invalid character (byte 17)"),
        (b'{"model":"m","x":"\x00"}', "", "the body is not valid JSON: invalid character (byte 18)"),
        (b'{"model":"m","x":' + b"[" * 99999 + b"]" * 99999 + b"}", "", "the body is nested too deeply"),
        (b'{"model":' + b"[" * 99999 + b"]" * 99999 + b"}", "", "the body is nested too deeply"),
        (b"\xef\xbb\xbf{}", "", "the body is not valid JSON"),
    ],
    ids=range(31),
)
def test_a_body_that_is_not_sound_is_refused_with_what_is_wrong_and_where(
    dialect: Dialect, body: bytes, where: str, message: str
) -> None:
    if not FACTS[dialect.name].model_in_body and where not in ("", "body"):
        assert dialect.peek(body) == IN_THE_PATH  # a sound object; what it says of model and stream counts for nothing
        return
    with pytest.raises(InvalidRequest) as caught:
        dialect.peek(body)
    assert caught.value.where == where
    assert caught.value.message.startswith(message)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_peek_of_anything_gives_an_answer_or_a_refusal(body: bytes) -> None:
    for dialect in DIALECTS.values():
        try:
            dialect.peek(body)
        except InvalidRequest as error:
            json.loads(dialect.write_error(error, "r"))


# -- errors of an upstream ---------------------------------------------------------------------------------------------


def openai_error(message: str, kind: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


@EACH
@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (429, openai_error("slow", "rate_limit_error"), Failure("rate_limit", "slow", 429)),
        (429, openai_error("slow", "requests", "rate_limit_exceeded"), Failure("rate_limit", "slow", 429, "rate_limit_exceeded")),
        (
            429,
            openai_error("pay", "insufficient_quota", "insufficient_quota"),
            Failure("billing", "pay", 429, "insufficient_quota"),
        ),
        (
            401,
            openai_error("no", "invalid_request_error", "invalid_api_key"),
            Failure("authentication", "no", 401, "invalid_api_key"),
        ),
        (404, openai_error("no", "invalid_request_error", "model_not_found"), Failure("not_found", "no", 404, "model_not_found")),
        (400, openai_error("bad", "invalid_request_error"), Failure("invalid_request", "bad", 400)),
        (503, openai_error("busy", "server_error"), Failure("overloaded", "busy", 503)),
        (418, openai_error("tea", "teapot", "brewing"), Failure("invalid_request", "tea", 418, "brewing")),
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"O"}}', Failure("overloaded", "O", 529)),
        (413, b'{"type":"error","error":{"type":"request_too_large","message":"L"}}', Failure("too_large", "L", 413)),
        (
            402,
            b'{"type":"error","error":{"type":"billing_error","message":"B","details":{"error_code":"ramp"}},"request_id":"r"}',
            Failure("billing", "B", 402, "ramp"),
        ),
        (
            400,
            b'{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}',
            Failure("invalid_request", "m", 400, "BadRequestError"),
        ),
        (404, b'{"detail":"Not Found"}', Failure("not_found", "Not Found", 404)),
        (
            422,
            b'{"detail":[{"loc":["body","messages",0,"role"],"msg":"needed","type":"missing"},{"loc":["body"],"msg":"b"}]}',
            Failure("invalid_request", "messages.0.role: needed; b", 422, "BadRequestError"),
        ),
        (
            400,
            b'{"error":{"code":400,"message":"g","status":"INVALID_ARGUMENT"}}',
            Failure("invalid_request", "g", 400, "INVALID_ARGUMENT"),
        ),
        (
            403,
            b'[{"error":{"code":429,"message":"q","status":"RESOURCE_EXHAUSTED"}}]',
            Failure("rate_limit", "q", 403, "RESOURCE_EXHAUSTED"),
        ),
        (404, b'{"error":"model not found"}', Failure("not_found", "model not found", 404)),
        (
            503,
            b'{"error":"Model is overloaded","error_type":"overloaded"}',
            Failure("overloaded", "Model is overloaded", 503, "overloaded"),
        ),
        (
            400,
            b'{"message":"t","__type":"com.amazon.coral#ThrottlingException"}',
            Failure("rate_limit", "t", 400, "ThrottlingException"),
        ),
        (500, b'{"errors":[{"message":"e","code":7}]}', Failure("api", "e", 500)),
        (500, b'{"foo":1}', Failure("api", 'the upstream answered 500: {"foo":1}', 500)),
        (500, b'{"error":{}}', Failure("api", 'the upstream answered 500: {"error":{}}', 500)),
        (503, b"", Failure("overloaded", "the upstream answered 503 with an empty body", 503)),
        (504, b" \r\n", Failure("timeout", "the upstream answered 504 with an empty body", 504)),
        (
            502,
            b"<html>\r\n<head><title>502 Bad\nGateway</title></head><body>secret</body>",
            Failure("api", 'the upstream answered 502 with an HTML page titled "502 Bad Gateway"', 502),
        ),
        (502, b"<!DOCTYPE html><p>x", Failure("api", "the upstream answered 502 with an HTML page", 502)),
        (500, b"upstream connect error", Failure("api", "the upstream answered 500: upstream connect error", 500)),
        (500, b"\xff\xfe\x00\x01", Failure("api", "the upstream answered 500 with 4 bytes that are not text", 500)),
    ],
    ids=range(28),
)
def test_an_error_answer_is_understood_in_every_form(dialect: Dialect, status: int, body: bytes, failure: Failure) -> None:
    assert dialect.read_error(status, body) == failure


@EACH
@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b'{"choices":[],"error":null}', None),
        (b'{"id":"x","choices":[{"message":{"content":"error"}}],"error":{}}', None),
        (b'{"type":"message","content":[]}', None),
        (b"[]", None),
        (b"", None),
        (b'{"error":{"code":429,"message":"x"}}', Failure("rate_limit", "x", 429)),
        (b'{"error":{"message":"x","type":"server_error"}}', Failure("api", "x", 500)),
        (b'{"error":"boom"}', Failure("api", "boom", 500)),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"O"}}', Failure("overloaded", "O", 529)),
        (
            b'{"object":"error","message":"m","type":"BadRequestError","code":400}',
            Failure("invalid_request", "m", 400, "BadRequestError"),
        ),
        (b'{"choices":[{"error":{"code":502,"message":"died"},"message":{"content":"ha"}}]}', Failure("api", "died", 502)),
    ],
    ids=range(11),
)
def test_a_200_that_is_an_error_is_seen_for_one(dialect: Dialect, body: bytes, failure: Failure | None) -> None:
    assert dialect.read_failure(body) == failure


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in "
        "the completion). Please reduce the length of the messages or completion.",
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. Please reduce it.",
        "This model's maximum context length is 4096 tokens. However, you requested 100 output tokens and your prompt contains "
        "at least 5000 input tokens, for a total of at least 5100 tokens.",
        "The input token count (5000) exceeds the maximum number of tokens allowed (4096).",
        "prompt is too long: 5000 tokens > 4096 maximum",
        "input length and `max_tokens` exceed context limit: 5000 + 100 > 4096, decrease input length",
        "Prompt contains 5000 tokens and 0 draft tokens, too large for model with 4096 maximum context length",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    ],
)
def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_act_on(message: str) -> None:
    failure = OPENAI_CHAT.read_error(400, openai_error(message, "invalid_request_error"))
    assert failure.code == OVERFLOW
    error = UpstreamRefused(failure.message, status=400, kind=failure.kind, code=failure.code)
    told = json.loads(ANTHROPIC.write_error(error, "r"))["error"]["message"]
    assert told.startswith("prompt is too long: 5000 tokens > 4096 maximum")
    assert message in told
    assert json.loads(OPENAI_CHAT.write_error(error, "r"))["error"]["code"] == OVERFLOW


def test_the_numbers_of_llama_cpp_are_put_into_its_message() -> None:
    body = {"code": 400, "message": "too big", "type": "exceed_context_size_error", "n_prompt_tokens": 5000, "n_ctx": 4096}
    failure = OPENAI_CHAT.read_error(400, json.dumps({"error": body}).encode())
    assert (failure.code, failure.message) == (OVERFLOW, "too big (5000 tokens > 4096 maximum)")


def test_a_limit_on_tokens_per_minute_is_no_prompt_that_is_too_long() -> None:
    body = openai_error("prompt is too long: 5000 tokens > 4096 maximum", "rate_limit_error")
    assert OPENAI_CHAT.read_error(429, body).code is None


def test_messages_of_an_upstream_are_one_bounded_line_without_keys() -> None:
    text = "bad key sk-proj-abcDEF123456 and Bearer abcdefghijkl\r\nx\x00y" + "z" * 9000
    message = OPENAI_CHAT.read_error(400, openai_error(text, "x")).message
    assert message.startswith("bad key [key] and [key] x yzzz")
    assert len(message) == MAX_MESSAGE
    assert message.endswith("...")


@given(st.integers(400, 599), st.binary(max_size=60))
def test_no_error_answer_is_too_odd_to_be_read(status: int, body: bytes) -> None:
    for dialect in DIALECTS.values():
        failure = dialect.read_error(status, body)
        assert failure.message
        dialect.read_failure(body)


@pytest.mark.parametrize("body", [b'{"error":' * 20000, b"[" * 99999, b'{"error":' + b"[" * 500 + b"]" * 500 + b"}"])
def test_a_deep_error_answer_is_read_no_deeper_than_it_makes_sense(body: bytes) -> None:
    assert len(OPENAI_CHAT.read_error(500, body).message) <= MAX_MESSAGE
    OPENAI_CHAT.read_failure(body)


# -- our own errors ----------------------------------------------------------------------------------------------------


def of_kind(kind: Kind, **given: Any) -> GatewayError:
    return UpstreamRefused("m", status=given.pop("status", STATUS_OF[kind]), kind=kind, **given)


def caught(dialect: Dialect, error: GatewayError) -> Caught:
    """What the vendor's own SDK raises for what we send."""
    return raised(dialect.name, dialect.status_of(error), dialect.error_headers(error), dialect.write_error(error, "r"))


ANTHROPIC_TABLE: dict[Kind, tuple[int, str]] = {
    "invalid_request": (400, "invalid_request_error"),
    "authentication": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "permission": (403, "permission_error"),
    "not_found": (404, "not_found_error"),
    "method_not_allowed": (405, "invalid_request_error"),
    "conflict": (409, "conflict_error"),
    "too_large": (413, "request_too_large"),
    "unprocessable": (400, "invalid_request_error"),
    "rate_limit": (429, "rate_limit_error"),
    "api": (500, "api_error"),
    "timeout": (504, "timeout_error"),
    "overloaded": (529, "overloaded_error"),
}
OPENAI_TABLE: dict[Kind, tuple[int, str, str | None]] = {
    "invalid_request": (400, "invalid_request_error", None),
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "billing": (429, "insufficient_quota", "insufficient_quota"),
    "permission": (403, "invalid_request_error", None),
    "not_found": (404, "invalid_request_error", None),
    "method_not_allowed": (405, "invalid_request_error", "method_not_supported"),
    "conflict": (409, "invalid_request_error", None),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "unprocessable": (422, "invalid_request_error", None),
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "api": (500, "server_error", None),
    "timeout": (504, "server_error", "timeout"),
    "overloaded": (503, "server_error", "overloaded"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_anthropic_clients_get_anthropics_status_and_type(kind: Kind) -> None:
    error = of_kind(kind)
    body = json.loads(ANTHROPIC.write_error(error, "req_1"))
    status, name = ANTHROPIC_TABLE[kind]
    assert ANTHROPIC.status_of(error) == status
    assert body == {"type": "error", "error": {"type": name, "message": "m"}, "request_id": "req_1"}


@pytest.mark.parametrize("kind", KINDS)
def test_openai_clients_get_openais_status_type_and_code(kind: Kind) -> None:
    error = of_kind(kind)
    body = json.loads(OPENAI_CHAT.write_error(error, "req_1"))
    status, name, code = OPENAI_TABLE[kind]
    assert OPENAI_CHAT.status_of(error) == status
    assert body == {"error": {"message": "m", "type": name, "param": None, "code": code}}


@EACH
def test_server_faults_keep_their_own_status(dialect: Dialect) -> None:
    assert dialect.status_of(UpstreamUnreachable("x")) == 502
    assert dialect.status_of(Internal("x")) == 500
    assert dialect.status_of(of_kind("api", status=404)) == 500


@EACH
def test_the_path_of_the_field_at_fault_is_in_the_message(dialect: Dialect) -> None:
    error = InvalidRequest("expected a string", where="messages.3.content.0")
    assert "messages.3.content.0: expected a string" in caught(dialect, error).message
    body = json.loads(dialect.write_error(error, "r"))
    said = body["error"] if FACTS[dialect.name].errors_have_an_object else body
    assert said["message"] == "messages.3.content.0: expected a string"
    assert said.get("param", "messages.3.content.0") == "messages.3.content.0"


def test_an_upstreams_own_code_wins_over_the_one_of_its_kind() -> None:
    assert json.loads(OPENAI_CHAT.write_error(of_kind("rate_limit", code="tpm"), "r"))["error"]["code"] == "tpm"
    assert json.loads(OPENAI_CHAT.write_error(NotFound("x", where="model"), "r"))["error"]["code"] == "model_not_found"


@EACH
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "method_not_allowed"])
def test_the_sdk_raises_an_error_that_says_what_we_said(dialect: Dialect, kind: Kind) -> None:
    error = of_kind(kind)
    found = caught(dialect, error)
    assert found.status == dialect.status_of(error)
    assert "m" in found.message


@EACH
def test_the_sdk_of_a_caller_without_a_key_raises_its_authentication_error(dialect: Dialect) -> None:
    assert caught(dialect, Unauthenticated("Missing authentication.")).kind == FACTS[dialect.name].no_key


# -- models lists ------------------------------------------------------------------------------------------------------

MODELS = [ModelInfo("claude-x", 1_715_644_800, "anthropic", "Claude X"), ModelInfo("gpt"), ModelInfo('odd "é"')]


def test_anthropics_list_is_one_whole_page() -> None:
    body = json.loads(ANTHROPIC.write_models(MODELS))
    assert body["data"][0] == {
        "type": "model",
        "id": "claude-x",
        "display_name": "Claude X",
        "created_at": "2024-05-14T00:00:00Z",
    }
    assert body["data"][1]["display_name"] == "gpt"
    assert (body["has_more"], body["first_id"], body["last_id"]) == (False, "claude-x", 'odd "é"')
    assert json.loads(ANTHROPIC.write_models([])) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_openais_list_is_an_object_of_kind_list() -> None:
    body = json.loads(OPENAI_CHAT.write_models(MODELS))
    assert body["object"] == "list"
    assert body["data"][0] == {"id": "claude-x", "object": "model", "created": 1_715_644_800, "owned_by": "anthropic"}
    assert body["data"][1]["owned_by"] == "system"


@EACH
def test_a_list_reads_back_and_one_model_is_one_of_its_rows(dialect: Dialect) -> None:
    facts = FACTS[dialect.name]
    read = dialect.read_models(dialect.write_models(MODELS))
    assert [info.id for info in read] == [info.id for info in MODELS]
    if facts.list_has_times:
        assert [info.created for info in read] == [info.created for info in MODELS]
    rows = json.loads(dialect.write_models(MODELS))[facts.list_key]
    alone = [json.loads(dialect.write_model(info)) for info in MODELS]
    assert [row[facts.wraps_a_model] if facts.wraps_a_model else row for row in alone] == rows


@EACH
@pytest.mark.parametrize("body", [b"", b"[]", b'{"LIST":5}', b'{"LIST":[5]}', b"<html>"])
def test_what_is_no_models_list_is_a_value_error(dialect: Dialect, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        dialect.read_models(body.replace(b"LIST", FACTS[dialect.name].list_key.encode()))


def test_lists_of_compatible_hosts_are_read_with_what_they_have() -> None:
    body = b'{"object":"list","data":[{"id":"a","created":1.5,"owned_by":null},{"id":"b","created":true},{"name":"no id"}]}'
    assert OPENAI_CHAT.read_models(body) == [ModelInfo("a"), ModelInfo("b")]
    assert ANTHROPIC.read_models(b'{"data":[{"id":"a","created_at":"soon"}]}') == [ModelInfo("a", 0, "anthropic")]
