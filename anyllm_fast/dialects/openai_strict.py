"""Whether a JSON schema is one that OpenAI's strict mode takes. Changes nothing.

Strict mode refuses a schema with an optional property, an open object, or certain keywords, and the whole request with it.
Source: platform.openai.com, structured outputs, supported schemas.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

_REFUSED: Final = {
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "unevaluatedProperties",
    "propertyNames",
}
_decode: Final = msgspec.json.Decoder().decode


def fits_strict(schema: Raw) -> bool:
    try:
        root = _decode(schema)
    except (msgspec.DecodeError, RecursionError):
        return False
    if not isinstance(root, dict) or root.get("type") != "object" or "anyOf" in root:
        return False
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            return False
        if not _REFUSED.isdisjoint(node) or not _is_closed(node):
            return False
        for name in ("properties", "$defs", "definitions"):
            inside = node.get(name)
            if isinstance(inside, dict):
                waiting += inside.values()
        if "items" in node:
            waiting.append(node["items"])
        options = node.get("anyOf")
        if isinstance(options, list):
            waiting += options
    return True


def _is_closed(node: dict[str, Any]) -> bool:
    """An object schema that names all its properties and requires each of them."""
    kind = node.get("type")
    if kind != "object" and "properties" not in node and not (isinstance(kind, list) and "object" in kind):
        return True
    properties, required = node.get("properties", {}), node.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    return node.get("additionalProperties") is False and all(name in required for name in properties)
