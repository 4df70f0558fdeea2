"""The schema of bedrock for the ledger's tests: types, values and what a generated body needs around it. Knows no gateway.

The types are made from botocore's service model, one TypedDict for each structure under the shape's own name. A union is one type
for each of its members, all with the union's name. Members that go into the request's path are not of the body, and the errors of
an event stream are no answers, so both are left out.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

import botocore
import typing_extensions

MODEL = Path(botocore.__file__).parent / "data" / "bedrock-runtime" / "2023-09-30" / "service-2.json.gz"
SHAPES: dict[str, Any] = json.loads(gzip.decompress(MODEL.read_bytes()))["shapes"]
NAMES = {"ConverseStreamRequest": "ConverseRequest"}
"""Shapes that are one to a reader of bodies."""
APART = {"video": "Video", "audio": "Audio", "s3Location": "S3", "GuardrailConverseContentBlock.image": "Image"}
"""Members of unions whose types have names of their own, because whole APIs refuse them."""
PLAIN: dict[str, Any] = {
    "string": str,
    "blob": str,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": bool,
}


@cache
def type_of(name: str) -> Any:
    """The Python type of a shape."""
    shape = SHAPES[name]
    kind = shape["type"]
    if shape.get("document"):
        return Any
    if kind == "structure":
        return structure(name, shape)
    if kind == "list":
        return list[type_of(shape["member"]["shape"])]  # type: ignore[misc]  # made at run time
    if kind == "map":
        return dict[str, type_of(shape["value"]["shape"])]  # type: ignore[misc]  # made at run time
    if "enum" in shape:
        return Literal[tuple(shape["enum"])]
    return PLAIN[kind]


def structure(name: str, shape: dict[str, Any]) -> Any:
    members = {
        member: type_of(given["shape"])
        for member, given in shape["members"].items()
        if "location" not in given and not SHAPES[given["shape"]].get("exception")
    }
    called = NAMES.get(name, name)
    if shape.get("union") or shape.get("eventstream"):
        parts = [
            typed(called + APART.get(member, APART.get(f"{name}.{member}", "")), {member: hint}, {member})
            for member, hint in members.items()
        ]
        return Union[tuple(parts)]  # noqa: UP007 - a tuple
    return typed(called, members, set(shape.get("required", ())))


def typed(name: str, members: dict[str, Any], required: set[str]) -> Any:
    hints = {
        member: typing_extensions.Required[hint] if member in required else typing_extensions.NotRequired[hint]
        for member, hint in members.items()
    }
    made: Any = typing_extensions.TypedDict(name, hints)  # type: ignore[misc]  # made at run time
    made.__module__ = __name__
    return made


SCHEMAS: dict[tuple[str, Any], tuple[Any, ...]] = {
    ("bedrock", "request"): (type_of("ConverseRequest"), type_of("ConverseStreamRequest")),
    ("bedrock", "reply"): (type_of("ConverseResponse"),),
    ("bedrock", "stream"): (type_of("ConverseStreamOutput"),),
}

_OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
VALUES: dict[str, Any] = {
    "ToolUseBlock.toolUseId": "call_1",
    "ToolResultBlock.toolUseId": "call_1",
    "ToolUseBlockStart.toolUseId": "call_1",
    "ToolResultBlockStart.toolUseId": "call_1",
    "ToolUseBlock.name": "text",
    "ToolUseBlockStart.name": "text",
    "ToolSpecification.name": "text",
    "SpecificToolChoice.name": "text",
    "ToolInputSchema.json": _OBJECT,
    "JsonSchemaDefinition.schema": json.dumps(_OBJECT),
    "InferenceConfiguration.maxTokens": 20000,
    "S3Location.uri": "s3://bucket/a.pdf",
    "S3Location.bucketOwner": "123456789012",
    "ImageSource.bytes": "AAAA",
    "DocumentSource.bytes": "JVBERi0xLjQK",
    "VideoSource.bytes": "AAAA",
    "AudioSource.bytes": "AAAA",
    "GuardrailConverseImageSource.bytes": "AAAA",
    "ReasoningContentBlock.redactedContent": "AAAA",
    "ReasoningContentBlockDelta.redactedContent": "AAAA",
    "DocumentBlock.format": "pdf",
    "ImageBlock.format": "png",
    "ConverseRequest.promptVariables": {"a": {"text": "b"}},
    "GuardrailTraceAssessment.inputAssessment": {"a": {}},
    "GuardrailTraceAssessment.outputAssessments": {"a": [{}]},
    "ToolUseBlockDelta.input": '{"a":1}',
    "ContentBlockStartEvent.contentBlockIndex": 0,
    "ContentBlockDeltaEvent.contentBlockIndex": 0,
    "ContentBlockStopEvent.contentBlockIndex": 0,
    "ConverseResponse.stopReason": "end_turn",
    "MessageStopEvent.stopReason": "end_turn",
    "TokenUsage.inputTokens": 100,
    "ServiceTier.type": "default",
}

_ASK = {"role": "user", "content": [{"text": "ask"}]}
_GO = {"role": "user", "content": [{"text": "go on"}]}
_CALL = {"toolUse": {"toolUseId": "call_1", "name": "text", "input": {}}}
_RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "call_1", "content": [{"text": "done"}]}}]}
_TOOL = {"toolSpec": {"name": "text", "inputSchema": {"json": {"type": "object"}}}}
_MODELS = {"toolUse", "reasoningContent", "citationsContent"}
_SYSTEMS = {"toolAddition", "toolRemoval"}


def request(body: dict[str, Any]) -> None:
    """Completes a generated request in place."""
    messages = body.setdefault("messages", [])
    if not messages:
        messages.append({"role": "user", "content": [{"text": "hi"}]})
    _place(messages)
    if (system := body.get("system")) is not None:
        system[:] = _behind(system, {"text": "sys"})
    if (config := body.get("toolConfig")) is not None:
        tools = [tool for tool in config.get("tools", []) if tool]
        config["tools"] = tools if any("toolSpec" in tool for tool in tools) else [_TOOL, *tools]


def _behind(blocks: list[Any], first: Any) -> list[Any]:
    """Without empty blocks, and with something before a cache point."""
    kept = [block for block in blocks if block]
    return [first, *kept] if not kept or "cachePoint" in kept[0] else kept


def _place(messages: list[dict[str, Any]]) -> None:
    first = messages[0]
    content = first["content"] = _behind(first.get("content") or [], {"text": "hi"})
    kinds = {kind for block in content for kind in block}
    for block in content:
        if (said := block.get("reasoningContent", {}).get("reasoningText")) is not None:
            said.setdefault("signature", "sig")
        if (cited := block.get("citationsContent")) is not None:
            cited.setdefault("content", [{"text": "cited"}])
    if kinds & _MODELS:
        first["role"] = "assistant"
    elif kinds & _SYSTEMS:
        first["role"] = "system"
    first.setdefault("role", "user")
    if first["role"] == "user" and "toolResult" in kinds:
        messages[:0] = [_ASK, {"role": "assistant", "content": [_CALL]}]
    elif first["role"] == "assistant":
        served = any(block.get("toolUse", {}).get("type") for block in content)
        messages.insert(0, _ASK)
        messages.append(_RESULT if "toolUse" in kinds and not served else _GO)
    elif first["role"] == "system":
        messages[:] = [_ASK, first, _GO]


def reply(body: dict[str, Any]) -> None:
    """Completes a generated reply in place."""
    output = body.setdefault("output", {})
    message = output.setdefault("message", {"role": "assistant", "content": []})
    message["content"] = [block for block in message.get("content", []) if block]
    for block in message["content"]:
        for kind in ("image", "audio"):
            block.get(kind, {}).pop("error", None)  # it has either this or a source
        for citation in block.get("citationsContent", {}).get("citations", ()):
            place = citation.setdefault("location", {"web": {}})
            if "web" in place:
                place["web"].setdefault("url", "http://a/")


def stream(event: dict[str, Any]) -> bytes:
    """A whole stream (SSE frames, as the decoder gets them without AWS's framing) in which the generated event has its place."""
    name, given = next(iter(event.items()), ("", {}))
    events: list[tuple[str, Any]] = [("messageStart", {"role": "assistant"}), *_text(0), _STOP, _METADATA]
    match name:
        case "messageStart":
            events[0] = (name, given)
        case "contentBlockStart":
            events[1:3] = [(name, given), *_filled(given), ("contentBlockStop", {"contentBlockIndex": 0}), *_text(1)]
        case "contentBlockDelta":
            if (citation := given.get("delta", {}).get("citation")) is not None:
                place = citation.setdefault("location", {"web": {}})
                if "web" in place:
                    place["web"].setdefault("url", "http://a/")
            if (cited := given.get("delta", {}).get("citation")) is not None:
                cited.setdefault("location", {"web": {}}).get("web", {}).setdefault("url", "http://a/")
            given.get("delta", {}).get("image", {}).pop("error", None)  # it has either this or a source
            events[1:3] = [*_opened(given), (name, given), ("contentBlockStop", {"contentBlockIndex": 0}), *_text(1)]
        case "messageStop":
            events[-2] = (name, given)
        case "metadata":
            events[-1] = (name, given)
    return b"".join(b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(data).encode()) for kind, data in events)


_STOP = ("messageStop", {"stopReason": "end_turn"})
_METADATA = ("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}, "metrics": {"latencyMs": 1}})


def _text(index: int) -> list[tuple[str, Any]]:
    """Text has no contentBlockStart in this API."""
    return [
        ("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": "hello"}}),
        ("contentBlockStop", {"contentBlockIndex": index}),
    ]


def _filled(given: dict[str, Any]) -> list[tuple[str, Any]]:
    """What a block has to have after its start."""
    if "image" in given.get("start", {}):
        return [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "AAAA"}}}})]
    return []


def _opened(given: dict[str, Any]) -> list[tuple[str, Any]]:
    """The start of the block that a delta goes on with, where its kind has one."""
    kinds = given.get("delta", {})
    if "toolUse" in kinds:
        start: Any = {"toolUse": {"toolUseId": "call_1", "name": "text"}}
    elif "toolResult" in kinds:
        start = {"toolResult": {"toolUseId": "call_1"}}
    elif "image" in kinds:
        start = {"image": {"format": "png"}}
    elif "citation" in kinds:  # behind the text that it is about
        return [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "cited"}})]
    else:
        return []
    return [("contentBlockStart", {"contentBlockIndex": 0, "start": start})]
