"""anyllm_fast/dialects/bedrock.py: peek, errors, models lists and token counts as botocore takes them, streams read whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from anyllm_fast.dialects.bedrock import BEDROCK, ERRORS
from anyllm_fast.errors import STATUS_OF, GatewayError, InvalidRequest, Kind, UpstreamRefused
from anyllm_fast.neutral.dialect import ModelInfo, Peek
from anyllm_fast.neutral.reply import TextPart
from anyllm_fast.wire.aws import BAD_CHECKSUM, CUT
from tests.boto_judge import ASK, answering, client
from tests.streams import MAX_FRAME, load
from tests.test_aws import framed_corpus

KINDS: list[Kind] = list(STATUS_OF)
MODELED = {
    *("ValidationException", "AccessDeniedException", "ResourceNotFoundException", "ThrottlingException", "ConflictException"),
    *("InternalServerException", "ServiceUnavailableException", "ModelTimeoutException", "ModelErrorException"),
    "ServiceQuotaExceededException",
}
"""What bedrock-runtime has a class for; the others come as ClientError with their name in it."""


def head(status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nx-amzn-requestid: req-1\r\n%b" % (status, lines)


def raised(error: GatewayError) -> ClientError:
    """What boto3 raises for an error of ours."""
    top = head(BEDROCK.status_of(error), BEDROCK.error_headers(error))
    with answering(top, BEDROCK.write_error(error, "req-1")) as port, pytest.raises(ClientError) as found:
        client(port).converse(modelId="m", messages=ASK)
    return found.value


@pytest.mark.parametrize("kind", KINDS)
def test_boto3_raises_the_class_of_each_kind(kind: Kind) -> None:
    error = UpstreamRefused("what went wrong", status=STATUS_OF[kind], kind=kind, where="messages.0")
    found = raised(error)
    name, status = ERRORS[kind]
    assert found.response["Error"] == {"Code": name, "Message": "messages.0: what went wrong"}
    assert found.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert found.response["ResponseMetadata"]["RequestId"] == "req-1"
    assert type(found).__name__ == (name if name in MODELED else "ClientError")


def test_a_failure_of_the_model_is_one_there_and_back() -> None:
    failure = BEDROCK.read_error(424, b'{"message":"the model failed"}')
    assert (failure.kind, failure.status) == ("api", 424)
    found = raised(UpstreamRefused(failure.message, status=failure.status, kind=failure.kind))
    assert type(found).__name__ == "ModelErrorException"


@pytest.mark.parametrize(("given", "status"), [(500, 500), (502, 502), (503, 503), (504, 504), (400, 500), (529, 529)])
def test_an_api_error_keeps_its_own_status(given: int, status: int) -> None:
    assert BEDROCK.status_of(UpstreamRefused("m", status=given, kind="api")) == status


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b'{"message":"Too many requests"}', "rate_limit"),
        (403, b'{"Message":"User is not authorized"}', "permission"),
        (400, b'{"__type":"com.amazon.coral#ThrottlingException","message":"m"}', "rate_limit"),
        (400, b'{"__type":"throttlingException","message":"m"}', "rate_limit"),
        (408, b'{"message":"m"}', "timeout"),
        (503, b"<html>", "overloaded"),
    ],
)
def test_an_upstreams_error_is_read(status: int, body: bytes, kind: Kind) -> None:
    assert BEDROCK.read_error(status, body).kind == kind


def test_the_body_says_neither_model_nor_stream() -> None:
    assert BEDROCK.peek(b'{"messages":[],"model":5,"stream":"x"}') == Peek("", False, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":"\xff"}', b'{"a":' + b"[" * 2000, b'{"a":1}x'])
def test_a_body_that_is_no_sound_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        BEDROCK.peek(body)


def test_boto3_reads_the_models_list() -> None:
    infos = [ModelInfo("anthropic.claude-x-v1:0", 5, "Anthropic", "Claude X"), ModelInfo("plain")]
    with answering(head(200, []), BEDROCK.write_models(infos)) as port:
        listed = client(port, "bedrock").list_foundation_models()["modelSummaries"]
    assert [(one["modelId"], one["modelName"], one["providerName"]) for one in listed] == [
        ("anthropic.claude-x-v1:0", "Claude X", "Anthropic"),
        ("plain", "plain", "system"),
    ]
    with answering(head(200, []), BEDROCK.write_model(infos[0])) as port:
        details = client(port, "bedrock").get_foundation_model(modelIdentifier="plain")["modelDetails"]
    assert details["modelId"] == "anthropic.claude-x-v1:0" and details["modelLifecycle"] == {"status": "ACTIVE"}
    assert BEDROCK.read_models(BEDROCK.write_models(infos)) == [
        ModelInfo("anthropic.claude-x-v1:0", 0, "Anthropic", "Claude X"),
        ModelInfo("plain", 0, "system", "plain"),
    ]
    for body in (b"{}", b"[]", b"x", b'{"modelSummaries":{}}'):
        with pytest.raises(ValueError):
            BEDROCK.read_models(body)


def test_boto3_counts_tokens() -> None:
    with answering(head(200, []), BEDROCK.write_count(42)) as port:
        assert client(port).count_tokens(modelId="m", input={"converse": {"messages": ASK}})["inputTokens"] == 42
    assert BEDROCK.read_count(b'{"inputTokens":42}') == 42
    with pytest.raises(ValueError):
        BEDROCK.read_count(b"{}")


def test_a_count_wraps_the_request() -> None:
    assert BEDROCK.read_counted(b'{"input":{"converse":{"messages": []}}}') == b'{"messages": []}'
    for body in (b"{}", b'{"input":{}}', b'{"input":{"invokeModel":{"body":"e30="}}}', b"[]", b"x"):
        with pytest.raises(InvalidRequest):
            BEDROCK.read_counted(body)


@pytest.mark.parametrize("carry", [framed_corpus, load])
def test_a_stream_is_read_whole_in_its_framing_or_without(carry: Any) -> None:
    reply = BEDROCK.read_stream(carry("bedrock_max_tokens"), MAX_FRAME)
    assert reply.parts == [TextPart(b"It was a dark and")]
    assert (reply.stop_reason, reply.failure, reply.ended) == ("max_tokens", None, True)


def test_a_stream_that_is_cut_or_damaged_says_so() -> None:
    body = framed_corpus("bedrock_text")
    assert BEDROCK.read_stream(body[:-300], MAX_FRAME).failure == CUT
    assert BEDROCK.read_stream(body[:200] + b"?" + body[201:], MAX_FRAME).failure == BAD_CHECKSUM
    assert BEDROCK.read_stream(body, 100).failure is not None
    assert json.loads(BEDROCK.write_error(InvalidRequest("m"), "r")) == {"message": "m"}
