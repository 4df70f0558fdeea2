"""Schemas of answers for vendors that want every object closed (`additionalProperties: false`). Looks at no vendor's own form.

Claude refuses an output schema in which an object that names its properties does not say that it has no others; other vendors do
not ask for it. A schema that says so everywhere, or says the opposite, is left as it was written, byte for byte.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.members import encode

MAX_DEPTH: Final = 64
MAPS: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
ONES: Final = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"})
"""Members of a schema that hold schemas: by name, in a list, one."""

_decode: Final = msgspec.json.Decoder().decode


def closed(raw: Raw) -> Raw:
    """The schema with every object that names its properties closed to others, where it does not say itself."""
    root = _decode(raw)
    shut = _shut(root, 0)
    return raw if shut == root else Raw(encode(shut))


def _shut(node: Any, depth: int) -> Any:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        return node
    out: dict[str, Any] = {}
    for name, value in node.items():
        if name in MAPS and isinstance(value, dict):
            out[name] = {key: _shut(inner, depth + 1) for key, inner in value.items()}
        elif name in LISTS and isinstance(value, list):
            out[name] = [_shut(inner, depth + 1) for inner in value]
        else:
            out[name] = _shut(value, depth + 1) if name in ONES else value
    if isinstance(out.get("properties"), dict):
        out.setdefault("additionalProperties", False)
    return out
