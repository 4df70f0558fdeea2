"""Makes of a generated body one that a vendor would take: turns in their order, calls with results, tools for a tool choice.

A generated body has one member more than it must have; what the vendors demand beside their types is added here, the same with
the member and without it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from tests import schema_bedrock, schema_gemini, schema_openai_responses

_STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

VALUES: dict[str, Any] = {
    # ids of calls, names of tools: the same everywhere, so that what has to fit does
    "ToolUseBlock.id": "call_1",
    "ToolResultBlock.tool_use_id": "call_1",
    "ToolMessage.tool_call_id": "call_1",
    "MessageFunctionToolCall.id": "call_1",
    "MessageCustomToolCall.id": "call_1",
    "Chunk.ChoiceDeltaToolCall.id": "call_1",
    "Tool.name": "text",
    "ToolChoiceTool.name": "text",
    "FunctionDefinition.name": "text",
    "Request.Function.name": "text",
    "FunctionCallOption.name": "text",
    "NamedToolChoice.Function.name": "text",
    "AllowedTools.tools": [{"type": "function", "function": {"name": "text"}}],
    # numbers and texts that the types do not pin
    "Request.max_tokens": 20000,
    "ThinkingConfigEnabled.budget_tokens": 5000,
    "Request.n": 2,
    "Request.stop": "END",
    "Request.messages": [{"role": "user", "content": "hi"}],
    "Tool.input_schema": _STRICT,
    "FunctionDefinition.parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    "JSONOutputFormat.schema": {"type": "object", "properties": {}, "additionalProperties": False},
    "ResponseFormatJsonSchema.JSONSchema.schema": {"type": "object", "properties": {}, "additionalProperties": False},
    "MessageFunctionToolCall.Function.arguments": '{"a":1}',
    "AssistantMessage.FunctionCall.arguments": '{"a":1}',
    "Message.FunctionCall.arguments": '{"a":1}',
    "Chunk.ChoiceDeltaToolCallFunction.arguments": '{"a":1}',
    "Chunk.ChoiceDeltaFunctionCall.arguments": '{"a":1}',
    "ContentPartImage.ImageURL.url": "http://a/b.png",
    "ContentPart.FileFile.file_data": "data:application/pdf;base64,AAAA",
    "InputJSONDelta.partial_json": '{"a":1}',
    "RawContentBlockStartEvent.index": 0,
    "RawContentBlockDeltaEvent.index": 0,
    "RawContentBlockStopEvent.index": 0,
    "Chunk.Choice.index": 0,
    "Chunk.ChoiceDeltaToolCall.index": 0,
    "CompletionUsage.prompt_tokens": 100,
    "Usage.input_tokens": 100,
    "Message.stop_reason": "end_turn",
}
VALUES_OF: dict[str, dict[str, Any]] = {
    "openai_responses": schema_openai_responses.VALUES,
    "gemini": schema_gemini.VALUES,
    "bedrock": schema_bedrock.VALUES,
}


def values(dialect: str) -> dict[str, Any]:
    return VALUES_OF.get(dialect, VALUES)


def request(dialect: str, body: Any, about: Any = None) -> bytes:
    """`about`: the body with the member, if this is the one without it: what that needs beside the member, both have."""
    body = copy.deepcopy(body)
    needed = body if about is None else about
    if dialect in _TOOLS and {"tool_choice", "parallel_tool_calls"}.intersection(needed):
        body.setdefault("tools", [_TOOLS[dialect]])
    if dialect == "openai_responses" and "summary" in needed.get("reasoning", {}):
        body["reasoning"] = {"effort": "high", **body.get("reasoning", {})}
    said = json.dumps(needed) if dialect == "anthropic" and "tools" not in needed else ""
    if any(kind in said for kind in _FINDERS) and '"tool_definition"' not in said:
        body["tools"] = [{"name": "text", "input_schema": {"type": "object"}, "defer_loading": True}, _TOOLS[dialect]]
    if body.get("messages") or dialect in VALUES_OF:
        _REQUESTS[dialect](body)
    return json.dumps(body).encode()


_TOOLS: dict[str, Any] = {
    "anthropic": {"name": "other", "input_schema": {"type": "object"}},
    "openai_chat": {"type": "function", "function": {"name": "text"}},
    "openai_responses": {"type": "function", "name": "text", "parameters": _STRICT, "strict": False},
}
"""For a choice of tools, and for what finds or adds one."""
_FINDERS = ('"tool_addition"', '"tool_removal"', '"tool_reference"', '"tool_search_tool_result"')


def _anthropic(body: dict[str, Any]) -> None:
    body.setdefault("max_tokens", 20000)
    messages = body["messages"]
    first = messages[0]
    content = first.get("content")
    kinds = [block.get("type") for block in content] if isinstance(content, list) else []
    ask, go = {"role": "user", "content": "ask"}, {"role": "user", "content": "go on"}
    if first["role"] == "user" and "tool_result" in kinds:
        call = {"type": "tool_use", "id": "call_1", "name": "text", "input": {}}
        messages[:0] = [ask, {"role": "assistant", "content": [call]}]
    elif first["role"] == "assistant":
        result = {"type": "tool_result", "tool_use_id": "call_1", "content": "done"}
        messages.insert(0, ask)
        messages.append({"role": "user", "content": [result]} if "tool_use" in kinds else go)
    elif first["role"] == "system":
        first.setdefault("content", "be brief")
        messages[:] = [ask, first, go]


def _openai_chat(body: dict[str, Any]) -> None:
    messages = body["messages"]
    first = messages[0]
    ask, go = {"role": "user", "content": "ask"}, {"role": "user", "content": "go on"}
    function = {"name": "text", "arguments": "{}"}
    match first["role"]:
        case "tool":
            call = {"id": "call_1", "type": "function", "function": function}
            messages[:0] = [ask, {"role": "assistant", "tool_calls": [call]}]
        case "function":
            messages[:0] = [ask, {"role": "assistant", "function_call": function}]
        case "assistant":
            messages.insert(0, ask)
            if first.get("tool_calls"):
                messages.append({"role": "tool", "tool_call_id": "call_1", "content": "done"})
            elif first.get("function_call"):
                messages.append({"role": "function", "name": "text", "content": "done"})
            else:
                messages.append(go)
        case "system" | "developer":
            messages.append(go)
        case _:
            for part in first["content"] if isinstance(first.get("content"), list) else ():
                if part.get("type") == "file" and not {"file_data", "file_id"}.intersection(part.get("file", {"file_id": 1})):
                    part["file"]["file_data"] = "data:application/pdf;base64,BBBB"
    if (form := body.get("response_format", {}).get("json_schema")) is not None:
        form.setdefault("schema", {"type": "object"})
    if "function_call" in body:
        body.setdefault("functions", [{"name": "text"}])


_REQUESTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "anthropic": _anthropic,
    "openai_chat": _openai_chat,
    "openai_responses": schema_openai_responses.request,
    "gemini": schema_gemini.request,
    "bedrock": schema_bedrock.request,
}
_REPLIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "openai_responses": schema_openai_responses.reply,
    "gemini": schema_gemini.reply,
    "bedrock": schema_bedrock.reply,
}


def reply(dialect: str, body: Any) -> bytes:
    body = copy.deepcopy(body)
    if dialect in _REPLIES:
        _REPLIES[dialect](body)
        return json.dumps(body).encode()
    if "stop_sequence" in body:
        body["stop_reason"] = "stop_sequence"
    for choice in body.get("choices", ()):
        if "annotations" in choice.get("message", {}):
            choice["message"].setdefault("content", "hello")
    return json.dumps(body).encode()


# -- streams -----------------------------------------------------------------------------------------------------------

_MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"output_tokens": 1}}
_START = {"type": "message_start", "message": _MESSAGE}
_STOP = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
_BLOCKS: dict[str, Any] = {
    "text_delta": {"type": "text", "text": ""},
    "citations_delta": {"type": "text", "text": ""},
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "input_json_delta": {"type": "tool_use", "id": "call_1", "name": "text", "input": {}},
}


def stream(dialect: str, event: Any) -> bytes:
    """A whole stream in which the generated event has its place."""
    return _STREAMS[dialect](event)


def _events(event: dict[str, Any]) -> bytes:
    events = [_START, *_text(0), _STOP, {"type": "message_stop"}]
    match event.get("type"):
        case "message_start":
            events[0] = event
            events[-2] = {**_STOP, "usage": {}}
        case "message_delta":
            events[-2] = event
            if "stop_sequence" in event.get("delta", {}):
                events[-2] = {**event, "delta": {**event["delta"], "stop_reason": "stop_sequence"}}
        case "content_block_start":
            events[1:4] = [event, {"type": "content_block_stop", "index": 0}, *_text(1)]
        case "content_block_delta" if "delta" in event:
            block = _BLOCKS.get(event["delta"].get("type"), {"type": "compaction", "content": None})
            start = {"type": "content_block_start", "index": 0, "content_block": block}
            events[1:4] = [start, event, {"type": "content_block_stop", "index": 0}, *_text(1)]
    return b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in events)


def _text(index: int) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": index},
    ]


def _chunks(chunk: dict[str, Any]) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = {**head, "choices": [{"index": 0, "delta": {"content": "hello"}}]}
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    ended = any("finish_reason" in choice for choice in chunk.get("choices", ()))
    chunks = [said, chunk] if ended else [said, chunk, end]
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in chunks) + b"data: [DONE]\n\n"


_STREAMS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "anthropic": _events,
    "openai_chat": _chunks,
    "openai_responses": schema_openai_responses.stream,
    "gemini": schema_gemini.stream,
    "bedrock": schema_bedrock.stream,
}
