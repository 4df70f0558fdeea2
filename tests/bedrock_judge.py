"""botocore as the judge of Converse: what boto3 sends and reads, what fits the service model; and requests in one line."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.awsrequest import AWSPreparedRequest
from botocore.parsers import create_parser
from botocore.validate import ParamValidator

from anyllm_fast.dialects import anthropic_request, bedrock_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request

Json = dict[str, Any]
CLAUDE = Profile(anthropic_model=True, cache_points=True, cache_point_lives=True)
NOVA = Profile(cache_points=True, converse_effort="reasoningConfig")
PLAIN = Profile()
SOURCES: dict[str, Any] = {"anthropic": anthropic_request, "openai_chat": openai_chat_request, "bedrock": bedrock_request}


class _Caught(Exception):
    """Raised in place of sending."""


@cache
def client() -> Any:
    return botocore.session.Session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        endpoint_url="http://127.0.0.1:9",
    )


def sent(**params: Any) -> bytes:
    """The body that boto3 sends for `client.converse(**params)`."""
    caught: list[bytes] = []

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        caught.append(bytes(request.body or b""))
        raise _Caught

    events = client().meta.events
    events.register("before-send.bedrock-runtime.Converse", catch)
    try:
        client().converse(modelId="model", **params)
    except _Caught:
        pass
    finally:
        events.unregister("before-send.bedrock-runtime.Converse", catch)
    return caught[0]


def problems(body: Json) -> str:
    """What botocore has against a request's body; "" if it would send it. (Documents may hold what JSON can.)"""
    shape = client().meta.service_model.operation_model("Converse").input_shape
    report: str = ParamValidator().validate({"modelId": "model", **body}, shape).generate_report()
    return report


def read(reply: bytes) -> Json:
    """A whole reply as boto3 gives it to its caller."""
    shape = client().meta.service_model.operation_model("Converse").output_shape
    response = {"body": reply, "headers": {}, "status_code": 200, "context": {"operation_name": "Converse"}}
    parsed: Json = create_parser("rest-json").parse(response, shape)
    return parsed


def lost(reply: bytes) -> list[str]:
    """Paths of a reply that botocore does not know: what a caller with boto3 never sees."""
    shape = client().meta.service_model.operation_model("Converse").output_shape
    return list(_unknown(json.loads(reply), shape, ""))


def _unknown(value: Any, shape: Any, where: str) -> list[str]:
    found: list[str] = []
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for name, inner in value.items():
            path = f"{where}.{name}"
            found += _unknown(inner, shape.members[name], path) if name in shape.members else [path]
    elif shape.type_name == "list":
        for index, inner in enumerate(value):
            found += _unknown(inner, shape.member, f"{where}.{index}")
    return found


def carried(source: str, target: str, body: Json | bytes, profile: Profile = PLAIN) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = SOURCES[source].read_request(body if isinstance(body, bytes) else json.dumps(body).encode(), losses)
    return json.loads(SOURCES[target].write_request(request, "m", profile, losses)), dict(losses)


def from_anthropic(body: Json, profile: Profile = PLAIN) -> tuple[Json, dict[str, str]]:
    out, losses = carried("anthropic", "bedrock", body, profile)
    assert not problems(out)
    return out, losses


def from_chat(body: Json, profile: Profile = PLAIN) -> tuple[Json, dict[str, str]]:
    out, losses = carried("openai_chat", "bedrock", body, profile)
    assert not problems(out)
    return out, losses


def to_anthropic(body: Json) -> tuple[Json, dict[str, str]]:
    return carried("bedrock", "anthropic", body)


def to_chat(body: Json) -> tuple[Json, dict[str, str]]:
    return carried("bedrock", "openai_chat", body)


def read_converse(body: Json) -> Request:
    return bedrock_request.read_request(json.dumps(body).encode(), Losses())


def said(*blocks: Json, role: str = "user") -> Json:
    return {"messages": [{"role": role, "content": list(blocks)}]}


def where_refused(source: str, target: str, body: Json, profile: Profile = PLAIN) -> str:
    try:
        carried(source, target, body, profile)
    except InvalidRequest as error:
        return str(error.where)
    raise AssertionError("not refused")
