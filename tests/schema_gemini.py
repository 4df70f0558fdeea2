"""The schema of gemini for the ledger's tests: types, values and what a generated body needs around it. Knows no gateway.

google-genai describes a request as its caller writes it: one flat GenerateContentConfig. What of it goes where on the wire is
found by running the SDK's own converters, for the Developer API and for Vertex, on each member alone. Types are made anew with
the wire's names and values: enums as their words, bytes as base64 text.
"""

from __future__ import annotations

import enum
import json
import types as python_types
import typing
from typing import Any, Literal

from google.genai import Client, models, types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_NO_WIRE = {"sdkHttpResponse", "automaticFunctionCallingHistory", "parsed"}
"""What the SDK adds to a reply for its caller."""
_HINTS: dict[str, Any] = {
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "responseSchema": types.Schema,
    "speechConfig": types.SpeechConfig,
    "responseModalities": list[types.Modality],
}
"""Members for which the SDK takes more types than the wire does."""
_SAMPLES: dict[str, Any] = {"response_schema": {"type": "STRING"}, "tools": [types.Tool()], "system_instruction": "a"}

_made: dict[Any, Any] = {}


def wire(kind: type[BaseModel], name: str = "", members: dict[str, Any] | None = None) -> Any:
    """The type as it is on the wire; `members` in place of its own (name -> (type, whether it is required))."""
    if members is None and kind in _made:
        return _made[kind]
    made: Any = type(name or kind.__name__, (BaseModel,), {"__module__": __name__})
    if members is None:
        _made[kind] = made
        members = {field.alias or each: (field.annotation, False) for each, field in kind.model_fields.items()}
    fields: dict[str, FieldInfo] = {}
    for member, (hint, required) in members.items():
        if member not in _NO_WIRE:
            hint = _on_wire(_HINTS.get(member, hint))
            fields[member] = FieldInfo(annotation=hint) if required else FieldInfo(annotation=hint, default=None)
    made.__pydantic_fields__ = fields
    return made


def _on_wire(hint: Any) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, python_types.UnionType):
        return typing.Union[tuple(_on_wire(option) for option in inner)]  # noqa: UP007 - made at run time
    if origin is list:
        return list[_on_wire(inner[0])]  # type: ignore[misc]  # made at run time
    if origin is dict:
        return dict[str, _on_wire(inner[1])]  # type: ignore[misc]  # made at run time
    if not isinstance(hint, type):
        return hint
    if issubclass(hint, enum.Enum):
        return Literal[tuple(one.value for one in hint if "UNSPECIFIED" not in one.value.upper())]
    if issubclass(hint, bytes):
        return str
    return wire(hint) if issubclass(hint, BaseModel) else hint


def _split() -> tuple[dict[str, Any], dict[str, Any]]:
    """Types of what of GenerateContentConfig goes into the body itself, and of what goes into generationConfig, by wire names."""
    client = Client(api_key="none")._api_client
    outside: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for name, field in types.GenerateContentConfig.model_fields.items():
        given = {name: _SAMPLES.get(name, _sample(field.annotation))}
        for convert in (models._GenerateContentConfig_to_mldev, models._GenerateContentConfig_to_vertex):
            parent: dict[str, Any] = {}
            try:
                inside |= dict.fromkeys(convert(client, given, parent), field.annotation)
            except ValueError:  # only for the other of the two
                continue
            outside |= dict.fromkeys(parent, field.annotation)
    return outside, inside


def _sample(hint: Any) -> Any:
    hint = next((option for option in typing.get_args(hint) if option is not type(None)), hint)
    if typing.get_origin(hint) is list:
        return [_sample(typing.get_args(hint)[0])]
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint()
    return {str: "a", int: 1, float: 0.5, bool: True, bytes: b"a"}.get(hint, {"a": "b"})


def _request() -> Any:
    outside, inside = _split()
    config = inside | {field.alias or name: field.annotation for name, field in types.GenerationConfig.model_fields.items()}
    of_config = wire(types.GenerationConfig, "GenerationConfig", {name: (hint, False) for name, hint in config.items()})
    members: dict[str, Any] = {"contents": (list[types.Content], True)}
    members |= {name: (hint, False) for name, hint in outside.items()}
    request = wire(types.GenerateContentConfig, "Request", members)
    request.__pydantic_fields__["generationConfig"] = FieldInfo(annotation=of_config, default=None)
    return request


REQUEST = _request()
REPLY = wire(types.GenerateContentResponse)
SCHEMAS: dict[tuple[str, Any], tuple[Any, ...]] = {
    ("gemini", "request"): (REQUEST,),
    ("gemini", "reply"): (REPLY,),
    ("gemini", "stream"): (REPLY,),
}
_SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}
_JSON_SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"], "additionalProperties": False}
VALUES: dict[str, Any] = {
    "Request.systemInstruction": {"parts": [{"text": "sys"}]},
    "Content.role": "user",
    "Part.thought": True,
    "Part.thoughtSignature": "U0lHTg==",
    "Blob.data": "QkJCQg==",
    "Blob.mimeType": "text/plain",
    "Blob.displayName": "a.pdf",
    "FunctionResponseBlob.data": "QkJCQg==",
    "FunctionResponseBlob.mimeType": "text/plain",
    "FileData.fileUri": "http://a/other.png",
    "FileData.mimeType": "image/png",
    "FunctionResponseFileData.fileUri": "http://a/other.png",
    "FunctionResponseFileData.mimeType": "image/png",
    "FunctionCall.id": "call_1",
    "FunctionCall.name": "named",
    "FunctionCall.args": {"a": 1},
    "FunctionResponse.id": "call_1",
    "FunctionResponse.name": "text",
    "FunctionResponse.response": {"a": 1},
    "FunctionDeclaration.name": "named",
    "FunctionDeclaration.parameters": _SCHEMA,
    "FunctionDeclaration.response": _SCHEMA,
    "FunctionDeclaration.parametersJsonSchema": _JSON_SCHEMA,
    "FunctionCallingConfig.allowedFunctionNames": ["text"],
    "GenerationConfig.maxOutputTokens": 20000,
    "GenerationConfig.candidateCount": 2,
    "GenerationConfig.topK": 7,
    "GenerationConfig.stopSequences": ["END"],
    "GenerationConfig.responseMimeType": "application/json",
    "GenerationConfig.responseSchema": _SCHEMA,
    "GenerationConfig.responseJsonSchema": _JSON_SCHEMA,
    "ThinkingConfig.thinkingBudget": 5000,
    "Request.labels": {"a": "b"},
    "Candidate.index": 0,
    "GenerateContentResponseUsageMetadata.promptTokenCount": 100,
    "GenerateContentResponseUsageMetadata.cachedContentTokenCount": 30,
    "ModalityTokenCount.tokenCount": 7,
    "ModalityTokenCount.modality": "AUDIO",
    "Segment.startIndex": 1,
    "Segment.endIndex": 3,
    "Segment.text": "llo",
    "Citation.startIndex": 1,
    "Citation.endIndex": 3,
    "GroundingSupport.groundingChunkIndices": [0],
    "LogprobsResultCandidate.logProbability": -0.5,
    "SafetyRating.blocked": True,
}

_CALL = {"functionCall": {"name": "text", "id": "call_1", "args": {}}}
_DATA = {
    *("text", "functionCall", "functionResponse", "inlineData", "fileData", "executableCode", "codeExecutionResult"),
    *("toolCall", "toolResponse", "audioTranscription"),
}
_ANSWERS = {"functionCall", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"}


def request(body: dict[str, Any]) -> None:
    """Completes a generated request in place."""
    contents = body["contents"]
    for part in body.get("systemInstruction", {}).get("parts", ()):
        _complete(part)
    if not contents:
        return
    content = contents[0]
    parts = content.setdefault("parts", [{"text": "hi"}])
    bare = any(not part.keys() & _DATA for part in parts)  # the same with what is said beside the text and without it
    for part in parts:
        _complete(part)
    ask, go = {"role": "user", "parts": [{"text": "ask"}]}, {"role": "user", "parts": [{"text": "go on"}]}
    names = {name for part in parts for name in part}
    if "functionCall" in names:
        content["role"] = "model"
        done = {"functionResponse": {"name": parts[0]["functionCall"]["name"], "response": {"output": "done"}}}
        contents[:] = [ask, content, {"role": "user", "parts": [done]}]
    elif "functionResponse" in names:
        contents[:0] = [ask, {"role": "model", "parts": [_CALL]}]
    elif bare or names & _ANSWERS:
        content["role"] = "model"
        contents[:] = [ask, content, go]
    for tool in body.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            function.setdefault("name", "text")
    if "functionCallingConfig" in body.get("toolConfig", {}):
        body.setdefault("tools", [{"functionDeclarations": [{"name": "text"}, {"name": "more"}]}])
        if "allowedFunctionNames" in body["toolConfig"]["functionCallingConfig"]:
            body["toolConfig"]["functionCallingConfig"].setdefault("mode", "ANY")
    config = body.get("generationConfig", {})
    if {"responseSchema", "responseJsonSchema"} & config.keys():
        config["responseMimeType"] = "application/json"


def _complete(part: dict[str, Any]) -> None:
    """A part has some content; a call a name, a file its bytes or its address."""
    if not part.keys() & _DATA:
        part["text"] = "hello"
    if "functionCall" in part:
        part["functionCall"].setdefault("name", "text")
    if "functionResponse" in part:
        part["functionResponse"].setdefault("name", "text")
        for inner in part["functionResponse"].get("parts", ()):
            _complete_media(inner)
    _complete_media(part)


def _complete_media(part: dict[str, Any]) -> None:
    if "inlineData" in part:
        part["inlineData"].setdefault("mimeType", "application/pdf")
        part["inlineData"].setdefault("data", "QUFBQQ==")
    if "fileData" in part:
        part["fileData"].setdefault("fileUri", "http://a/b.png")


def reply(body: dict[str, Any]) -> None:
    """Completes a generated reply in place. Beside every part there is a text, so that there is an answer without it too."""
    if "usageMetadata" in body:
        body["usageMetadata"].setdefault("promptTokenCount", 101)
    if "blockReason" in body.get("promptFeedback", {}):
        return
    for candidate in body.setdefault("candidates", [{}]):
        candidate.setdefault("finishReason", "STOP")
        parts = candidate.setdefault("content", {}).setdefault("parts", [])
        for part in parts:
            if part.keys() & {"thought", "thoughtSignature"} and not part.keys() & _DATA:
                part["text"] = "thought"
            if "functionCall" in part:
                part["functionCall"].setdefault("name", "text")
            if "inlineData" in part:
                part["inlineData"] |= {"mimeType": "image/png", "data": "iVBORw0KGgo="}
        if not any("text" in part and "thought" not in part for part in parts):
            parts.append({"text": "hello"})
        _complete_notes(candidate)


def _complete_notes(candidate: dict[str, Any]) -> None:
    """A support is of a source, and a citation has an address."""
    grounding = candidate.get("groundingMetadata", {})
    for support in grounding.get("groundingSupports", ()):
        grounding.setdefault("groundingChunks", [{"web": {"uri": "http://a", "title": "A"}}])
        support.setdefault("groundingChunkIndices", [0])
        segment = support.setdefault("segment", {})
        if "text" not in segment:
            segment.setdefault("endIndex", 5)
    for chunk in grounding.get("groundingChunks", ()):
        for source in chunk.values():
            if "sourceUri" not in source:
                source.setdefault("uri", "http://a")
    for citation in candidate.get("citationMetadata", {}).get("citations", ()):
        citation.setdefault("uri", "http://a")
        citation.setdefault("endIndex", 5)


def stream(event: dict[str, Any]) -> bytes:
    """A whole stream (SSE frames) in which the generated event has its place."""
    event = json.loads(json.dumps(event))
    if event.keys() & {"candidates", "promptFeedback"}:
        reply(event)
    elif "usageMetadata" in event:
        event["usageMetadata"].setdefault("promptTokenCount", 101)
    first = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "index": 0}]}
    last = {"candidates": [{"content": {"role": "model", "parts": [{"text": "."}]}, "finishReason": "STOP", "index": 0}]}
    frames = (
        [event]
        if "promptFeedback" in event and "candidates" not in event
        else [first, event]
        if "candidates" in event
        else [first, event, last]
    )
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(frame).encode() for frame in frames)
