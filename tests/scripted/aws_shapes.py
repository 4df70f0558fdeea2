"""Checks a JSON body against a shape of botocore's service model: types, required members, unions, bounds and patterns.

Knows shapes, not rules: those between fields are `bedrock_rules.py`.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from typing import Any

import botocore.session

INTEGERS = ("integer", "long")
NUMBERS = ("float", "double")


@cache
def _service() -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime")


def input_shape(operation: str) -> Any:
    return _service().operation_model(operation).input_shape


def output_shape(operation: str) -> Any:
    return _service().operation_model(operation).output_shape


def fault_of(value: Any, shape: Any, where: str = "") -> str:
    """What is wrong with `value`, beginning with its path; "" if nothing is. Members outside of the body are none of it."""
    match shape.type_name:
        case "structure" if getattr(shape, "is_document_type", False):
            return "" if isinstance(value, dict) else f"{where}: the value is not an object"
        case "structure":
            return _structure(value, shape, where)
        case "list":
            return _list(value, shape, where)
        case "map":
            return _map(value, shape, where)
        case "string":
            return _string(value, shape, where)
        case "blob":
            return _blob(value, where)
        case "boolean":
            return "" if isinstance(value, bool) else f"{where}: {value!r} is no boolean"
    number = isinstance(value, int | float) if shape.type_name in NUMBERS else isinstance(value, int)
    if isinstance(value, bool) or not number:
        return f"{where}: {value!r} can not be converted to {shape.type_name}"
    return _bounded(value, shape, where)


def _structure(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, dict):
        return f"{where or 'the body'}: the value is not an object"
    members = {name: inner for name, inner in shape.members.items() if inner.serialization.get("location") is None}
    for name, item in value.items():
        path = f"{where}.{name}" if where else name
        if name not in members:
            return f"{path}: extraneous key [{name}] is not permitted"
        if item is None:
            return f"{path}: the value is null"
        if fault := fault_of(item, members[name], path):
            return fault
    required = [name for name in shape.required_members if name in members]
    for name in required:
        if name not in value:
            return f"{where}: Member must not be null: {name}"
    if (shape.is_tagged_union or getattr(shape, "is_eventstream", False)) and len(value) != 1:
        return f"{where}: a union of which exactly one member must be set, not {sorted(value)}"
    return ""


def _list(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, list):
        return f"{where}: the value is not an array"
    inner = (fault for i, item in enumerate(value) if (fault := fault_of(item, shape.member, f"{where}.{i}")))
    return next(inner, "") or _sized(len(value), shape, where)


def _map(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, dict):
        return f"{where}: the value is not an object"
    for name, item in value.items():
        if fault := fault_of(name, shape.key, f"{where} key") or fault_of(item, shape.value, f"{where}.{name}"):
            return fault
    return _sized(len(value), shape, where)


def _string(value: Any, shape: Any, where: str) -> str:
    if not isinstance(value, str):
        return f"{where}: {value!r} is no string"
    if shape.enum and value not in shape.enum:
        return f"{where}: Value '{value}' must satisfy enum value set: {shape.enum}"
    if (pattern := shape.metadata.get("pattern")) and not re.fullmatch(pattern, value):
        return f"{where}: Value '{value[:100]}' must satisfy regular expression pattern: {pattern}"
    return _sized(len(value), shape, where)


def _blob(value: Any, where: str) -> str:
    if not isinstance(value, str):
        return f"{where}: {type(value).__name__} can not be converted to a blob"
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return f"{where}: the value is no base64"
    return "" if data else f"{where}: Member must have length greater than or equal to 1"


def _sized(size: int, shape: Any, where: str) -> str:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        return f"{where}: Member must have length greater than or equal to {low}"
    return f"{where}: Member must have length less than or equal to {high}" if high is not None and size > high else ""


def _bounded(value: float, shape: Any, where: str) -> str:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        return f"{where}: Value '{value}' must have value greater than or equal to {low}"
    return f"{where}: Value '{value}' must have value less than or equal to {high}" if high is not None and value > high else ""
