"""The schema of openai_responses for the ledger's tests: types, values, what generated bodies need around them. No gateway."""

from __future__ import annotations

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses import response_create_params as params

SCHEMAS: dict[tuple[str, Any], tuple[Any, ...]] = {
    ("openai_responses", "request"): (params.ResponseCreateParamsNonStreaming, params.ResponseCreateParamsStreaming),
    ("openai_responses", "reply"): (Response,),
    ("openai_responses", "stream"): (ResponseStreamEvent,),
}

_STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
_EMPTY = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
_CALLS = (
    *("ResponseFunctionToolCall", "ResponseInput.FunctionCallOutput", "ResponseCustomToolCall", "ResponseCustomToolCallOutput"),
    *("ResponseInput.LocalShellCall", "ResponseInput.ShellCall", "ResponseInput.ShellCallOutput"),
    *("ResponseInput.ApplyPatchCall", "ResponseInput.ApplyPatchCallOutput"),
)
_IMAGES = ("ResponseInputImage", "ResponseInputImageContent", "ResponseComputerToolCallOutputScreenshot")
_FILES = ("ResponseInputFile", "ResponseInputFileContent")
_ROOTS = ("ResponseCreateParams.ResponseCreateParamsNonStreaming", "ResponseCreateParams.ResponseCreateParamsStreaming")

VALUES: dict[str, Any] = {
    **{f"{name}.call_id": "call_1" for name in _CALLS},
    **{f"{name}.image_url": "http://a/b.png" for name in _IMAGES},
    **{f"{name}.file_data": "data:application/pdf;base64,AAAA" for name in _FILES},
    **{f"{name}.file_url": "http://a/b.pdf" for name in _FILES},
    **{f"{name}.filename": "b.pdf" for name in _FILES},
    **{f"{name}.max_output_tokens": 20000 for name in _ROOTS},
    **{f"{name}.store": True for name in _ROOTS},
    "ResponseComputerToolCallOutputScreenshot.image_url": "data:image/png;base64,AAAA",
    "ResponseInput.LocalShellCallOutput.id": "call_1",
    "ResponseFunctionToolCall.name": "text",
    "ResponseFunctionToolCall.arguments": '{"a":1}',
    "ResponseInput.FunctionCallOutput.name": "text",
    "ResponseCustomToolCall.name": "text",
    "FunctionTool.name": "text",
    "FunctionTool.parameters": _STRICT,
    "NamespaceTool.ToolFunction.parameters": _STRICT,
    "ToolChoiceFunction.name": "text",
    "ToolChoiceCustom.name": "text",
    "ToolChoiceAllowed.tools": [{"type": "function", "name": "text"}],
    "ResponseFormatTextJSONSchemaConfig.schema": {"type": "object", "properties": {}, "additionalProperties": False},
    "ResponseUsage.input_tokens": 100,
    "ResponseOutputItem.ImageGenerationCall.result": "AAAA",
    "ResponseReasoningItem.encrypted_content": "gAAAAB",
    "Response.status": "completed",
    "ResponseFunctionCallArgumentsDeltaEvent.delta": '{"a":1}',
    "ResponseFunctionCallArgumentsDoneEvent.arguments": '{"a":1}',
}


# -- requests ----------------------------------------------------------------------------------------------------------

_ASK = {"role": "user", "content": "ask"}
_GO = {"role": "user", "content": "go on"}
_CALL = {"type": "function_call", "call_id": "call_1", "name": "text", "arguments": "{}"}
_DONE = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
_PATCH = {
    "type": "apply_patch_call",
    "call_id": "call_1",
    "status": "completed",
    "operation": {"type": "delete_file", "path": "a"},
}
_BEFORE: dict[str, Any] = {
    "function_call_output": _CALL,
    "custom_tool_call_output": {"type": "custom_tool_call", "call_id": "call_1", "name": "text", "input": "x"},
    "local_shell_call_output": {
        "type": "local_shell_call",
        "id": "lsh_1",
        "call_id": "call_1",
        "status": "completed",
        "action": {"type": "exec", "command": [], "env": {}},
    },
    "shell_call_output": {"type": "shell_call", "call_id": "call_1", "action": {"commands": []}},
    "apply_patch_call_output": _PATCH,
}
_AFTER: dict[str, Any] = {
    "function_call": _DONE,
    "custom_tool_call": {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
    "local_shell_call": {"type": "local_shell_call_output", "id": "call_1", "output": "done"},
    "shell_call": {"type": "shell_call_output", "call_id": "call_1", "output": []},
    "apply_patch_call": {"type": "apply_patch_call_output", "call_id": "call_1", "status": "completed"},
}


def request(body: dict[str, Any]) -> None:
    """Completes a generated request in place."""
    body.setdefault("model", "m")
    if not isinstance(body.get("input"), str):
        _complete_input(body.setdefault("input", []))
    for tool in body.get("tools", ()):
        for inside in tool.get("tools", ()) if tool["type"] == "namespace" else ():
            if inside["type"] == "function":
                inside.setdefault("parameters", _EMPTY)
    if "top_logprobs" in body:
        body["include"] = ["message.output_text.logprobs"]


def _complete_input(items: list[Any]) -> None:
    if not items:
        items[:] = [_ASK, _GO]
        return
    first = items[0]
    kind = first.get("type")
    if kind in _BEFORE:
        if kind == "function_call_output":
            first.setdefault("call_id", "call_1")
        before = {**_BEFORE[kind], "name": first["name"]} if "name" in first else _BEFORE[kind]
        items[:0] = [_ASK, before]
        for part in first["output"] if isinstance(first.get("output"), list) else ():
            _complete_part(part)
    elif kind in _AFTER:
        container = "container" in json.dumps(first.get("environment", ""))
        items[:] = [_ASK, first, *([] if container else [_AFTER[kind]])]
    elif first.get("role") == "user":
        for part in first["content"] if isinstance(first.get("content"), list) else ():
            _complete_part(part)
    else:
        items[:] = [_ASK, first, _GO]
        output = first.get("output")
        if isinstance(output, dict):
            _complete_part(output)
        for part in first["content"] if isinstance(first.get("content"), list) else ():
            _complete_part(part)


def _complete_part(part: dict[str, Any]) -> None:
    if part.get("type") in ("input_image", "computer_screenshot") and not {"image_url", "file_id"}.intersection(part):
        part["image_url"] = "data:image/png;base64,BBBB"
    if part.get("type") == "input_file" and not {"file_data", "file_url", "file_id"}.intersection(part):
        part["file_data"] = "data:application/pdf;base64,BBBB"


# -- replies -----------------------------------------------------------------------------------------------------------

_HEAD = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
_TEXT = {"type": "output_text", "annotations": [], "text": "hello"}
_MESSAGE = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [_TEXT]}


def reply(body: dict[str, Any]) -> None:
    """Completes a generated reply in place."""
    body.setdefault("status", "incomplete" if body.get("incomplete_details") else "completed")
    if body["status"] in ("queued", "in_progress", "failed", "cancelled"):
        body["status"] = "completed"


# -- streams -----------------------------------------------------------------------------------------------------------

_WITH_CALL = ("response.function_call_arguments.delta", "response.function_call_arguments.done")
_WITH_CUSTOM = ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done")


def stream(event: dict[str, Any]) -> bytes:
    """A whole stream (SSE frames) in which the generated event has its place."""
    kind = event.get("type", "response.created")
    event = {**event, "type": kind, "output_index": 0} if "output_index" in event else {**event, "type": kind}
    if "response" in event:
        event["response"] = {**_HEAD, "output": [], **event["response"]}
        reply(event["response"])
    created = {"type": "response.created", "response": {**_HEAD, "status": "in_progress", "output": []}}
    completed = {"type": "response.completed", "response": {**_HEAD, "status": "completed", "output": [_MESSAGE]}}
    events: list[dict[str, Any]] = [created, *_before(kind, event), event, *_after(kind, event), *_said(1), completed]
    if kind in ("response.created", "response.in_progress", "response.queued"):
        events = [event, *_said(0), completed]
    elif kind in ("response.completed", "response.incomplete", "response.failed", "error"):
        events = [created, *_said(0), event]
    numbered = [{**each, "sequence_number": at} for at, each in enumerate(events)]
    return b"".join(b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each).encode()) for each in numbered)


def _item(kind: str, event: dict[str, Any]) -> dict[str, Any] | None:
    """The item that an event is about, as it was when it was added."""
    ident = event.get("item_id", "item_1")
    if kind in _WITH_CALL:
        return {"type": "function_call", "id": ident, "call_id": "call_1", "name": "text", "arguments": ""}
    if kind in _WITH_CUSTOM:
        return {"type": "custom_tool_call", "id": ident, "call_id": "call_1", "name": "text", "input": ""}
    if kind.startswith("response.reasoning"):
        return {"type": "reasoning", "id": ident, "summary": []}
    if kind.startswith(("response.output_text", "response.refusal", "response.content_part")):
        return {**_MESSAGE, "id": ident, "content": [], "status": "in_progress"}
    if kind.startswith("response.shell_call_command"):
        return {"type": "shell_call", "id": ident, "call_id": "call_1", "action": {"commands": []}, "status": "in_progress"}
    return None


def _before(kind: str, event: dict[str, Any]) -> list[dict[str, Any]]:
    item = _item(kind, event)
    if item is None:
        return []
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    part = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    if kind.startswith(("response.output_text", "response.refusal")) or kind == "response.content_part.done":
        empty = (
            {"type": "refusal", "refusal": ""} if "refusal" in kind else {"type": "output_text", "text": "", "annotations": []}
        )
        begun = [added, {"type": "response.content_part.added", "part": empty, **part}]
        if kind == "response.output_text.annotation.added":  # it comes behind the text that it is about
            where = {**part, "content_index": event.get("content_index", 0)}
            begun.append({"type": "response.output_text.delta", "delta": "cited", "logprobs": [], **where})
        return begun
    return [added]


def _after(kind: str, event: dict[str, Any]) -> list[dict[str, Any]]:
    """What a real service says again when the item is done."""
    if kind == "response.output_item.added":
        return [{"type": "response.output_item.done", "output_index": 0, "item": event.get("item", {})}]
    item = _item(kind, event)
    if item is None:
        return []
    text = event.get("delta") or event.get("arguments") or event.get("input") or ""
    if kind in _WITH_CALL:
        item["arguments"] = text
    elif kind in _WITH_CUSTOM:
        item["input"] = text
    return [{"type": "response.output_item.done", "output_index": 0, "item": {**item, "status": "completed"}}]


def _said(place: int) -> list[dict[str, Any]]:
    where = {"item_id": "msg_1", "output_index": place}
    item = {**_MESSAGE, "content": [], "status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": place, "item": item},
        {"type": "response.content_part.added", "content_index": 0, "part": {**_TEXT, "text": ""}, **where},
        {"type": "response.output_text.delta", "content_index": 0, "delta": "hello", "logprobs": [], **where},
        {"type": "response.output_text.done", "content_index": 0, "text": "hello", "logprobs": [], **where},
        {"type": "response.content_part.done", "content_index": 0, "part": _TEXT, **where},
        {"type": "response.output_item.done", "output_index": place, "item": _MESSAGE},
    ]
