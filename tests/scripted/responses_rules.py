"""What the OpenAI Responses service refuses in the fields of a request, worded as it words it. Items are `responses_items`.

Names and shapes come from the installed openai SDK, the rules between fields from the API reference and from refusals
seen in the field (issue threads of clients and gateways).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.response_compact_params import ResponseCompactParams
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from .responses_asked import ENCRYPTED, LEAST_TOKENS, every_tool, items_of
from .responses_items import item_refusal
from .responses_state import State
from .responses_words import bad, of_fault
from .typed import fault_of
from .upstream import Refusal

Body = dict[str, Any]
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
REASONING_MODEL = re.compile(r"(o\d|gpt-[5-9]|codex|gpt-daybreak)")
OF_CODEX = ("client_metadata", "search_content_types", "internal_chat_message_metadata_passthrough")
"""What Codex sends in a body, a tool or an item, and api.openai.com takes; the SDK does not type it."""
HINTS = {"create": ResponseCreateParamsStreaming, "count": InputTokenCountParams, "compact": ResponseCompactParams}


def refusal_of(body: Body, state: State, operation: str = "create") -> Refusal | None:
    """The first reason to refuse a request body, or None. `operation`: create, count (input_tokens) or compact."""
    if body.get("stream") not in (None, True, False):
        return bad("Invalid type for 'stream': expected a boolean.", "stream", "invalid_type")
    if fault := fault_of(_typed(body, operation), HINTS[operation]):
        return of_fault(fault)
    if refusal := _previous(body, state):
        return refusal
    rules = RULES if operation == "create" else ()
    return next((r for rule in rules if (r := rule(body))), None) or item_refusal(body, state)


def _typed(body: Body, operation: str) -> Body:
    """The body as the SDK's types have it: without what only the service knows, with what it lets a caller leave out."""
    typed = {k: v for k, v in body.items() if k not in OF_CODEX}
    if operation == "create" and typed.get("stream") is not True:
        typed["stream"] = True  # one type serves both: only this field differs
    if isinstance(typed.get("tools"), list):
        typed["tools"] = [_bare(tool) for tool in typed["tools"]]
    if isinstance(typed.get("input"), list):
        typed["input"] = [_filled(item) for item in typed["input"]]
    if isinstance(typed.get("tools"), list):
        typed["tools"] = [_lent(tool, "function", {"strict": None, "parameters": None}) for tool in typed["tools"]]
    return typed


def _lent(value: Any, kind: str, lacks: Body) -> Any:
    """With the defaults that the API reference gives members that the SDK's types want: the AI SDK leaves them out."""
    return {**lacks, **value} if isinstance(value, dict) and value.get("type") == kind else value


_MAY_LACK: dict[str, Body] = {
    "reasoning": {"id": "rs_0"},
    "local_shell_call": {"id": "lsh_0", "status": "completed"},
    "local_shell_call_output": {"id": "lsho_0"},
}


def _filled(item: Any) -> Any:
    """The service takes null for absent in an item, and does without ids and states that the SDK's types want."""
    if not isinstance(item, dict):
        return item
    kind = item.get("type") or "message"
    item = {k: v for k, v in item.items() if v is not None and k not in OF_CODEX}
    if kind == "message" and item.get("role") == "assistant" and isinstance(item.get("content"), list):
        content = [
            {"annotations": [], **p} if isinstance(p, dict) and p.get("type") == "output_text" else p for p in item["content"]
        ]
        return {"id": "msg_0", "status": "completed", "type": "message", **item, "content": content}
    if kind == "message":
        item.pop("id", None)  # what it gives out in input_items has one
        if isinstance(item.get("content"), list):
            item["content"] = [_lent(part, "input_image", {"detail": "auto"}) for part in item["content"]]
    if kind.startswith("custom_tool_call"):
        item.pop("status", None)  # the service gives it out; the types have none
    if kind == "local_shell_call_output":
        item.pop("call_id", None)  # what Codex and the service pair it by; the types have only `id`
    return {**_MAY_LACK.get(kind, {}), **item}


def _bare(tool: Any) -> Any:
    return {k: v for k, v in tool.items() if k not in OF_CODEX} if isinstance(tool, dict) else tool


# -- single fields ----------------------------------------------------------------------------------------------------


def _previous(body: Body, state: State) -> Refusal | None:
    previous = body.get("previous_response_id")
    if previous is not None and state.find(previous) is None:
        return bad(f"Previous response with id '{previous}' not found.", "previous_response_id", "previous_response_not_found")
    if previous is not None and body.get("conversation") is not None:
        return bad("Mutually exclusive parameters: 'previous_response_id' and 'conversation'.", "previous_response_id")
    return None


def _input(body: Body) -> Refusal | None:
    if not body.get("model") and not body.get("prompt"):
        return bad("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    given = body.get("input")
    if given in (None, []) and not any(body.get(k) for k in ("previous_response_id", "prompt", "conversation")):
        return bad(
            'One of "input" or "previous_response_id" or "prompt" or "conversation" must be provided.',
            "input",
            "missing_required_parameter",
        )
    return None


def _bounds(body: Body) -> Refusal | None:
    bound = body.get("max_output_tokens")
    if bound is not None and bound < LEAST_TOKENS:
        words = f"integer below minimum value. Expected a value >= {LEAST_TOKENS}, but got {bound} instead."
        return bad(f"Invalid 'max_output_tokens': {words}", "max_output_tokens", "integer_below_min_value")
    for name, (low, high) in {"temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 20)}.items():
        value = body.get(name)
        if value is not None and value < low:
            return bad(
                f"Invalid '{name}': decimal below minimum value. Expected a value >= {low}.", name, "decimal_below_min_value"
            )
        if value is not None and value > high:
            return bad(
                f"Invalid '{name}': decimal above maximum value. Expected a value <= {high}.", name, "decimal_above_max_value"
            )
    return None


def _reasons(body: Body) -> Refusal | None:
    """What only reasoning models take, and what they do not."""
    reasoning = body.get("reasoning") or {}
    if REASONING_MODEL.match(body.get("model") or ""):
        if reasoning.get("effort") == "none":
            return None
        taken = (n for n in ("temperature", "top_p", "top_logprobs") if body.get(n) is not None)
        return next((_unsupported(name) for name in taken), None)
    for name in ("effort", "summary"):
        if reasoning.get(name) is not None:
            return _unsupported(f"reasoning.{name}")
    if ENCRYPTED in (body.get("include") or ()):
        return bad("Encrypted content is not supported with this model.", "include")
    return None


def _unsupported(name: str) -> Refusal:
    return bad(f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter")


def _dependent(body: Body) -> Refusal | None:
    if body.get("stream_options") is not None and not body.get("stream"):
        return bad("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if body.get("background") and body.get("store") is False:
        return bad("Background mode requires 'store' to be true.", "store")
    for name, most in (("safety_identifier", 64), ("prompt_cache_key", 64)):
        value = body.get(name)
        if value is not None and len(value) > most:
            return bad(
                f"Invalid '{name}': string too long. Expected a string with maximum length {most}.",
                name,
                "string_above_max_length",
            )
    return _metadata(body.get("metadata") or {})


def _metadata(metadata: Body) -> Refusal | None:
    if len(metadata) > 16:
        return bad("Invalid 'metadata': too many properties.", "metadata", "object_above_max_properties")
    for key, value in metadata.items():
        if len(key) > 64 or len(value) > 512:
            return bad(f"Invalid 'metadata.{key}': string too long.", f"metadata.{key}", "string_above_max_length")
    return None


def _format(body: Body) -> Refusal | None:
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_object" and "json" not in str([body.get("input"), body.get("instructions")]).lower():
        words = "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
        return bad(words, "input")
    if form.get("type") != "json_schema":
        return None
    if not NAME.match(form["name"]):
        return _pattern("text.format.name")
    if form.get("strict") and (fault := strict_fault(form["schema"], ())):
        return bad(f"Invalid schema for response_format '{form['name']}': {fault}", "text.format.schema", "invalid_json_schema")
    return None


def strict_fault(schema: Any, path: tuple[str, ...]) -> str | None:
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
        return next((f for at, v in inner if (f := strict_fault(v, (*path, *at)))), None)
    branches = [*((f"anyOf/{i}", v) for i, v in enumerate(schema.get("anyOf", ()))), ("items", schema.get("items"))]
    return next((f for at, v in branches if (f := strict_fault(v, (*path, at)))), None)


def _pattern(where: str) -> Refusal:
    words = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
    return bad(f"Invalid '{where}': {words}", where, "invalid_value")


# -- tools ------------------------------------------------------------------------------------------------------------


def _tools(body: Body) -> Refusal | None:
    for i, tool in enumerate(body.get("tools") or ()):
        inner = tool["tools"] if tool["type"] == "namespace" else [tool]
        for k, one in enumerate(inner):
            where = f"tools[{i}].tools[{k}]" if tool["type"] == "namespace" else f"tools[{i}]"
            if refusal := _tool(one, where):
                return refusal
    return _choice(body)


def _tool(tool: Body, where: str) -> Refusal | None:
    if tool["type"] not in ("function", "custom"):
        return None
    if len(tool["name"]) > 64:
        words = f"string too long. Expected a string with maximum length 64, but got one of {len(tool['name'])}."
        return bad(f"Invalid '{where}.name': {words}", f"{where}.name", "string_above_max_length")
    if not NAME.match(tool["name"]):
        return _pattern(f"{where}.name")
    schema, name = tool.get("parameters"), tool["name"]
    if tool["type"] == "custom" or schema is None:
        return None
    if schema.get("type") != "object":
        words = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
        return bad(f"Invalid schema for function '{name}': {words}", f"{where}.parameters", "invalid_function_parameters")
    for word in ("oneOf", "anyOf", "allOf", "enum", "not"):
        if word in schema:
            words = "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
            return bad(f"Invalid schema for function '{name}': {words}", f"{where}.parameters", "invalid_function_parameters")
    if tool.get("strict") and (fault := strict_fault(schema, ())):
        return bad(f"Invalid schema for function '{name}': {fault}", f"{where}.parameters", "invalid_function_parameters")
    return None


def _choice(body: Body) -> Refusal | None:
    choice, tools = body.get("tool_choice"), every_tool(body)
    if choice == "required" and not tools:
        return bad("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
    if isinstance(choice, dict) and choice["type"] in ("function", "custom"):
        known = {(t["type"], t.get("name")) for t in tools}
        if (choice["type"], choice["name"]) not in known:
            return bad(f"Tool choice '{choice['name']}' not found in 'tools' parameter.", "tool_choice")
    return None


def _empty(body: Body) -> Refusal | None:
    items = items_of(body)
    for i, item in enumerate(items):
        if item.get("content") == [] and (item.get("type") or "message") == "message" and item["role"] != "assistant":
            return bad(f"Invalid 'input[{i}].content': empty array.", f"input[{i}].content", "empty_array")
    return None


RULES: tuple[Callable[[Body], Refusal | None], ...] = (
    _input,
    _bounds,
    _reasons,
    _dependent,
    _format,
    _tools,
    _empty,
)
