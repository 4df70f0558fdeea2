"""What the OpenAI Chat Completions service refuses, worded as it words it. Writes no answer.

Names and shapes come from the installed openai SDK, the rules between fields from the API reference and from refusals
seen in the field (issue threads of clients and gateways).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection
from typing import Any

from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

from .typed import Fault, Path, fault_of
from .upstream import Refusal

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
REASONING_MODEL = re.compile(r"(o\d|gpt-[5-9])")
MAX_ID = 40
REASONING = ("reasoning_content", "reasoning")
IMAGE_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")


def refusal_of(body: dict[str, Any], shown: Collection[str] = ()) -> Refusal | None:
    """The first reason to refuse a request body, or None. `shown`: reasoning that this service gave away itself."""
    typed = {**body, "messages": _without_own_reasoning(body.get("messages"), shown)}
    if typed.get("stream") is not True:
        typed["stream"] = True  # one type serves both: only this field differs
    if body.get("stream") not in (None, True, False):
        return _bad("Invalid type for 'stream': expected a boolean.", "stream", "invalid_type")
    if fault := fault_of(typed, CompletionCreateParamsStreaming):
        return _of_fault(fault)
    return next((r for rule in RULES if (r := rule(body))), None)


def _without_own_reasoning(messages: Any, shown: Collection[str]) -> Any:
    """OpenAI shows no reasoning and takes none. Hosts that show it take their own back, and refuse any other."""
    if not isinstance(messages, list):
        return messages
    return [{k: v for k, v in m.items() if k not in REASONING or v not in shown} if isinstance(m, dict) else m for m in messages]


def _bad(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    return Refusal(400, message, "invalid_request_error", param, code)


def _dotted(path: Path) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _of_fault(fault: Fault) -> Refusal:
    where = _dotted(fault.path)
    match fault.kind:
        case "unknown":
            return _bad(f"Unknown parameter: '{where}'.", where, "unknown_parameter")
        case "missing":
            return _bad(f"Missing required parameter: '{where}'.", where, "missing_required_parameter")
        case "value":
            return _bad(f"Invalid value for '{where}'. Supported values are: {fault.detail}.", where, "invalid_value")
        case _:
            return _bad(f"Invalid type for '{where}': expected {fault.detail}.", where, "invalid_type")


# -- single fields ----------------------------------------------------------------------------------------------------


def _token_bounds(body: dict[str, Any]) -> Refusal | None:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        return _bad("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", "max_tokens")
    if body.get("max_tokens") is not None and REASONING_MODEL.match(body["model"]):
        return _bad(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    for name in ("max_tokens", "max_completion_tokens"):
        if body.get(name) is not None and body[name] < 1:
            return _bad(f"Invalid '{name}': integer below minimum value.", name, "integer_below_min_value")
    return None


_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, 20),
    "n": (1, 128),
}


def _ranges(body: dict[str, Any]) -> Refusal | None:
    for name, (low, high) in _RANGES.items():
        value = body.get(name)
        if value is not None and not low <= value <= high:
            return _bad(f"Invalid '{name}': expected a value between {low} and {high}, but got {value} instead.", name)
    if body.get("temperature") not in (None, 1) and REASONING_MODEL.match(body["model"]):
        return _bad(
            "Unsupported value: 'temperature' does not support a value other than the default (1) with this model.",
            "temperature",
            "unsupported_value",
        )
    return None


def _effort(body: dict[str, Any]) -> Refusal | None:
    if body.get("reasoning_effort") is not None and not REASONING_MODEL.match(body["model"]):
        return _bad("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort")
    return None


def _stops(body: dict[str, Any]) -> Refusal | None:
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > 4:
        message = f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got {len(stop)}."
        return _bad(message, "stop", "array_above_max_length")
    return None


def _dependent(body: dict[str, Any]) -> Refusal | None:
    if body.get("stream_options") is not None and not body.get("stream"):
        return _bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        return _bad("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools") and not body.get("functions"):
            return _bad(f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.", name)
    return None


def _metadata(body: dict[str, Any]) -> Refusal | None:
    metadata = body.get("metadata") or {}
    if len(metadata) > 16:
        return _bad("Invalid 'metadata': too many properties.", "metadata")
    for key, value in metadata.items():
        if len(key) > 64 or len(value) > 512:
            return _bad(f"Invalid 'metadata.{key}': string too long.", f"metadata.{key}", "string_above_max_length")
    return None


def _format(body: dict[str, Any]) -> Refusal | None:
    form = body.get("response_format") or {}
    if form.get("type") == "json_object" and "json" not in str(body["messages"]).lower():
        return _bad("'messages' must contain the word 'json' to use 'response_format' of type 'json_object'.")
    if form.get("type") != "json_schema":
        return None
    where, spec = "response_format", form["json_schema"]
    if not NAME.match(spec["name"]):
        return _bad("Invalid 'response_format.json_schema.name': string does not match pattern.", where)
    if spec.get("strict") and (fault := _strict_fault(spec.get("schema"), ())):
        return _bad(f"Invalid schema for response_format '{spec['name']}': {fault}", where, "invalid_json_schema")
    return None


def _strict_fault(schema: Any, path: Path) -> str | None:
    """Strict schemas close every object and require each of its properties."""
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        where = f"In context={path}"
        if schema.get("additionalProperties") is not False:
            return f"{where}, 'additionalProperties' is required to be supplied and to be false."
        if missing := set(properties) - set(schema.get("required", ())):
            return f"{where}, 'required' is required to include every key in properties. Missing {sorted(missing)}."
        inner = ((("properties", k), v) for k, v in properties.items())
        return next((f for at, v in inner if (f := _strict_fault(v, (*path, *at)))), None)
    return _strict_fault(schema.get("items"), (*path, "items"))


# -- tools ------------------------------------------------------------------------------------------------------------


def _tools(body: dict[str, Any]) -> Refusal | None:
    tools = body.get("tools")
    if tools is None:
        return None
    if not tools:
        message = "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array."
        return _bad(message, "tools", "empty_array")
    names: list[str] = []
    for i, tool in enumerate(tools):
        if tool["type"] != "function":
            names.append(tool["custom"]["name"])
            continue
        function, where = tool["function"], f"tools[{i}].function"
        names.append(function["name"])
        if not NAME.match(function["name"]):
            message = f"Invalid '{where}.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
            return _bad(message, f"{where}.name", "invalid_value")
        schema = function.get("parameters")
        if schema and schema.get("type") != "object":
            message = f"Invalid schema for function '{function['name']}': schema must be of type \"object\"."
            return _bad(message, f"{where}.parameters", "invalid_function_parameters")
        for word in ("oneOf", "anyOf", "allOf", "enum", "not"):
            if schema and word in schema:
                message = f"Invalid schema for function '{function['name']}': '{word}' at the top level."
                return _bad(message, f"{where}.parameters", "invalid_function_parameters")
        if function.get("strict") and (fault := _strict_fault(schema, ())):
            return _bad(f"Invalid schema for function '{function['name']}': {fault}", f"{where}.parameters")
    return _choice(body.get("tool_choice"), names)


def _choice(choice: Any, names: list[str]) -> Refusal | None:
    if isinstance(choice, dict) and choice.get("type") == "function" and choice["function"]["name"] not in names:
        return _bad("Tool choice function not found in 'tools' parameter.", "tool_choice")
    return None


# -- messages ---------------------------------------------------------------------------------------------------------


def _messages(body: dict[str, Any]) -> Refusal | None:
    messages = body["messages"]
    if not messages:
        return _bad("Invalid 'messages': empty array.", "messages", "empty_array")
    return next((r for i, m in enumerate(messages) if (r := _message(m, f"messages[{i}]"))), None)


def _message(message: dict[str, Any], where: str) -> Refusal | None:
    content = message.get("content")
    if message["role"] == "assistant":
        if content is None and not any(message.get(k) for k in ("tool_calls", "refusal", "audio", "function_call")):
            return _bad(f"Invalid value for 'content': expected a string, got null. {where}", where)
        if message.get("tool_calls") == []:
            return _bad(f"Invalid '{where}.tool_calls': empty array.", f"{where}.tool_calls", "empty_array")
        for call in message.get("tool_calls", ()):
            if len(call["id"]) > MAX_ID:
                text = f"Invalid '{where}.tool_calls.id': string too long. Expected a maximum length of {MAX_ID}."
                return _bad(text, where, "string_above_max_length")
            if call["type"] == "function" and not NAME.match(call["function"]["name"]):
                return _bad(f"Invalid '{where}.tool_calls.function.name': string does not match pattern.", where)
    if content == []:
        return _bad(f"Invalid '{where}.content': empty array.", f"{where}.content", "empty_array")
    if isinstance(content, list):
        return next((r for i, p in enumerate(content) if (r := _part(p, f"{where}.content[{i}]"))), None)
    return None


def _part(part: dict[str, Any], where: str) -> Refusal | None:
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        if url.startswith(("http://", "https://")):
            return None
        return _data_url(url, IMAGE_KINDS, f"{where}.image_url.url")
    if part["type"] == "file" and "file_data" in part["file"]:
        if "filename" not in part["file"]:
            return _bad(f"Missing required parameter: '{where}.file.filename'.", where)
        return _data_url(part["file"]["file_data"], ("application/pdf",), f"{where}.file.file_data")
    return None


def _data_url(url: str, kinds: tuple[str, ...], where: str) -> Refusal | None:
    match = re.match(r"data:([\w/+.-]+);base64,(.*)\Z", url, re.DOTALL)
    if not match or match[1] not in kinds:
        return _bad(f"Invalid '{where}': expected a base64-encoded data URL of {kinds}.", where, "invalid_value")
    try:
        base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        return _bad(f"Invalid '{where}': the base64 data is not valid.", where, "invalid_base64")
    return None


def _pairing(body: dict[str, Any]) -> Refusal | None:
    """Each tool call is answered by the tool messages that follow at once, and no tool message stands alone."""
    open_ids: set[str] = set()
    for i, message in enumerate(body["messages"]):
        where = f"messages[{i}]"
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                return _bad(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    f"{where}.role",
                )
            open_ids.remove(message["tool_call_id"])
            continue
        if open_ids:
            return _unanswered(open_ids, where)
        if message["role"] == "assistant":
            open_ids = {call["id"] for call in message.get("tool_calls", ())}
    return _unanswered(open_ids, "messages") if open_ids else None


def _unanswered(ids: set[str], where: str) -> Refusal:
    return _bad(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(sorted(ids))}",
        where,
    )


RULES: tuple[Callable[[dict[str, Any]], Refusal | None], ...] = (
    _token_bounds,
    _ranges,
    _effort,
    _stops,
    _dependent,
    _metadata,
    _format,
    _tools,
    _messages,
    _pairing,
)
