"""What the Gemini API refuses in tools, their choice and its own subset of schemas. Knows no conversation."""

from __future__ import annotations

import re
from typing import Any

Body = dict[str, Any]
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}\Z")
_NAME_WORDS = (
    "[FIELD_INVALID] Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), "
    "underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
)
FORMATS = {"STRING": ("enum", "date-time"), "NUMBER": ("float", "double"), "INTEGER": ("int32", "int64")}


def tools_fault(body: Body, new: bool) -> str | None:
    """Why `tools` and `toolConfig` of a request are refused; None if they are not. `new`: Gemini 3 or later."""
    names: list[str] = []
    own = False
    for i, tool in enumerate(body.get("tools") or ()):
        own = own or any(name != "functionDeclarations" for name in tool)
        for j, function in enumerate(tool.get("functionDeclarations") or ()):
            where = f"tools[{i}].function_declarations[{j}]"
            names.append(function.get("name") or "")
            if fault := _function_fault(function, where):
                return fault
    if len(set(names)) != len(names):
        return f"Duplicate function declaration found: {next(n for n in names if names.count(n) > 1)}"
    config = body.get("toolConfig") or {}
    if own and names and not new:
        return "Tool use with function calling is unsupported"
    if own and names and not config.get("includeServerSideToolInvocations"):
        return "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling."
    return _choice_fault(config.get("functionCallingConfig") or {}, names)


def _function_fault(function: Body, where: str) -> str | None:
    if not NAME.match(function.get("name") or ""):
        return f"* GenerateContentRequest.{where}.name: {_NAME_WORDS}"
    schema = function.get("parametersJsonSchema")
    if schema is not None and function.get("parameters") is not None:
        return f"* GenerateContentRequest.{where}: parameters and parameters_json_schema cannot both be set."
    if schema is not None and not isinstance(schema, dict):
        return f"* GenerateContentRequest.{where}.parameters_json_schema: must be an object"
    if schema is not None and str(schema.get("type")).lower() != "object" and "$ref" not in schema:
        return f"* GenerateContentRequest.{where}.parameters_json_schema: schema must be of type OBJECT"
    parameters = function.get("parameters")
    if parameters is not None and str(parameters.get("type")).upper() != "OBJECT":
        return f"* GenerateContentRequest.{where}.parameters: schema must be of type OBJECT"
    return schema_fault(parameters, f"{where}.parameters")


def _choice_fault(choice: Body, names: list[str]) -> str | None:
    mode = str(choice.get("mode") or "AUTO").upper()
    allowed = choice.get("allowedFunctionNames") or ()
    if mode in ("ANY", "VALIDATED") and not names:
        return "Function calling config is set without function_declarations."
    if allowed and mode not in ("ANY", "VALIDATED"):
        return "Allowed function names should only be set when function calling mode is ANY or VALIDATED."
    if unknown := set(allowed) - set(names):
        return f"allowed_function_names[0]: {sorted(unknown)[0]} is not a declared function."
    return None


def schema_fault(schema: Any, where: str) -> str | None:
    """The first thing that the subset of OpenAPI forbids; unknown keywords were found by type already."""
    if not isinstance(schema, dict):
        return None
    kind = str(schema.get("type") or "").upper()
    place = f"* GenerateContentRequest.{where}"
    if not kind and not schema.get("anyOf"):
        return f"{place}.type: must be specified"
    if schema.get("enum") and kind != "STRING":
        return f"{place}.enum: only allowed for STRING type"
    if any(word == "" for word in schema.get("enum") or ()):
        return f"{place}.enum[0]: cannot be empty"
    form = schema.get("format")
    if form and form not in FORMATS.get(kind, ()):
        return f"{place}.format: only {FORMATS.get(kind, ())} are supported for {kind} type"
    if kind == "ARRAY" and not isinstance(schema.get("items"), dict):
        return f"{place}.items: missing field."
    properties = schema.get("properties") or {}
    if kind == "OBJECT" and not properties:
        return f"{place}.properties: should be non-empty for OBJECT type"
    for i, name in enumerate(schema.get("required") or ()):
        if name not in properties:
            return f"{place}.required[{i}]: property is not defined"
    inner = [(f"{where}.properties[{n}]", v) for n, v in properties.items()]
    inner += [(f"{where}.any_of[{i}]", v) for i, v in enumerate(schema.get("anyOf") or ())]
    inner += [(f"{where}.items", schema["items"])] if kind == "ARRAY" else []
    return next((f for path, v in inner if (f := schema_fault(v, path))), None)
