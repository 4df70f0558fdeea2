"""JSON schemas and Gemini's subset of OpenAPI, each made into the other. Knows no request.

Gemini's older `Schema` is a protobuf message: types in capitals, `nullable`, no references, enums of strings alone, a handful of
formats; a keyword that it does not know is a 400. What it has no word for is said in another way where there is one (`const` as
an enum of one, `oneOf` as `anyOf`, an unknown format in the description), and announced with its path where there is none.

The walk knows places: a property may be called `default`, `not` or `type`, and is a property then.
Source: ai.google.dev, Schema in the reference of FunctionDeclaration.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.closed_schema import LISTS, MAPS, MAX_DEPTH, ONES
from anyllm_fast.dialects.gemini_spelling import camel
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import encode

Schema = dict[str, Any]
Lose = Callable[[Where, str], None]

MAX_NODES: Final = 4000
"""Nodes that one schema may become. References that are written out may grow without end."""

_decode: Final = msgspec.json.Decoder().decode
_CAPITALS: Final = re.compile(rb'"(?:OBJECT|STRING|NUMBER|INTEGER|BOOLEAN|ARRAY|NULL|TYPE_UNSPECIFIED)"')
_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_RESPELLED: Final = {"defs": "$defs", "ref": "$ref"}


# -- to JSON schema ----------------------------------------------------------------------------------------------------


def from_openapi(raw: Raw) -> Raw:
    """The JSON schema that says what a `Schema` says; properties stand in the order that propertyOrdering asks for."""
    return Raw(encode(_plain(_decode(raw), 0)))


def lowered(raw: Raw) -> Raw:
    """A JSON schema with its types in lower case. Untouched unless there are capitals in it."""
    return from_openapi(raw) if _CAPITALS.search(raw) else raw


def _plain(node: Any, depth: int) -> Any:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        return node
    out: Schema = {}
    for given, value in node.items():
        name = camel(given)
        name = _RESPELLED.get(name, name)
        if name in MAPS and isinstance(value, dict):
            out[name] = {key: _plain(inner, depth + 1) for key, inner in value.items()}
        elif name in LISTS and isinstance(value, list):
            out[name] = [_plain(inner, depth + 1) for inner in value]
        elif name in ONES:
            out[name] = [_plain(inner, depth + 1) for inner in value] if isinstance(value, list) else _plain(value, depth + 1)
        elif name in _COUNTS and isinstance(value, str) and value.isdigit():
            out[name] = int(value)  # int64 in protobuf's JSON
        elif name == "type":
            _put_type(out, value)
        elif name == "$ref" and isinstance(value, str):
            out[name] = value.replace("#/defs/", "#/$defs/")
        elif name == "example":
            out["examples"] = [value]
        elif not (name in ("nullable", "propertyOrdering") or (name == "format" and value == "enum")):
            out[name] = value
    return _settled(out, spelled_out(node))


def spelled_out(node: Schema) -> Schema:
    return {camel(name): value for name, value in node.items()}


def _put_type(out: Schema, value: Any) -> None:
    if isinstance(value, str):
        if value != "TYPE_UNSPECIFIED":
            out["type"] = _lower(value)
    elif isinstance(value, list):
        out["type"] = [_lower(word) for word in value]
    else:
        out["type"] = value


def _lower(word: Any) -> Any:
    return word.lower() if isinstance(word, str) and word.lower() in _TYPES else word


def _settled(out: Schema, given: Schema) -> Schema:
    """What one keyword of the subset says about others: enum values of numbers, null, the order of properties."""
    if out.get("type") in ("integer", "number") and isinstance(out.get("enum"), list):
        out["enum"] = [_number(value) for value in out["enum"]]
    if given.get("nullable") is True:
        _allow_null(out)
    order, properties = given.get("propertyOrdering"), out.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        out["properties"] = {**first, **{name: value for name, value in properties.items() if name not in first}}
    return out


def _number(value: Any) -> Any:
    try:
        return _decode(value) if isinstance(value, str) else value
    except msgspec.DecodeError:
        return value


def _allow_null(out: Schema) -> None:
    kind = out.get("type")
    if isinstance(kind, str) and kind != "null":
        out["type"] = [kind, "null"]
        if isinstance(out.get("enum"), list) and None not in out["enum"]:
            out["enum"] = [*out["enum"], None]
    elif isinstance(out.get("anyOf"), list):
        out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    elif "$ref" in out:
        out["anyOf"] = [{"$ref": out.pop("$ref")}, {"type": "null"}]


# -- to the subset -----------------------------------------------------------------------------------------------------

_KEPT: Final = ("title", "default", "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties", "pattern")
_BOUNDS: Final = ("minimum", "maximum")
_FORMATS: Final = {
    "STRING": frozenset({"date-time"}),
    "NUMBER": frozenset({"float", "double"}),
    "INTEGER": frozenset({"int32", "int64"}),
}
_SILENT: Final = frozenset(
    {
        *("$schema", "$id", "$comment", "$defs", "definitions", "$anchor", "readOnly", "writeOnly", "deprecated", "strict"),
        *("type", "format", "description", "enum", "const", "nullable", "properties", "required", "items", "anyOf", "oneOf"),
        *("allOf", "$ref", "examples", "example", "additionalProperties", "prefixItems", "exclusiveMinimum", "exclusiveMaximum"),
        *("propertyOrdering", *_KEPT, *_BOUNDS),
    }
)


def to_openapi(raw: Raw, where: Where, lose: Lose) -> Schema:
    """The `Schema` nearest to a JSON schema; `lose` is told of every keyword that it cannot say, by its path below `where`."""
    root = _decode(raw)
    return _Rewrite(root, lose).node(root, where, ())


class _Rewrite:
    """One schema on its way into the subset. `refs` are the references that are being written out around a node."""

    __slots__ = ("_left", "_lose", "_root")

    def __init__(self, root: Any, lose: Lose) -> None:
        self._root = root
        self._lose = lose
        self._left = MAX_NODES

    def node(self, given: Any, where: Where, refs: tuple[str, ...], depth: int = 0) -> Schema:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            self._lose(where, "the schema is larger than can be written out without references")
            return {"type": "OBJECT"}
        if not isinstance(given, dict):
            if given is False:
                self._lose(where, "the target has no schema that nothing fits")
            return {}
        node = self._whole(given, where)
        reference = node.get("$ref")
        if isinstance(reference, str):
            return self._written_out(node, reference, where, refs, depth)
        out: Schema = {}
        options = self._type(node, out, where)
        self._about(node, out, where)
        self._values(node, out, where)
        self._inside(node, out, where, refs, depth)
        self._options([*options, *_listed(node, "anyOf"), *_listed(node, "oneOf")], out, where, refs, depth)
        for name in node:
            if name not in _SILENT:
                self._lose((where, name), "a keyword that the target's schemas do not have")
        return out

    def _written_out(self, node: Schema, reference: str, where: Where, refs: tuple[str, ...], depth: int) -> Schema:
        here: Where = (where, "$ref")
        if reference in refs:
            self._lose(here, "a schema that contains itself is cut off where it begins again")
            return {"type": "OBJECT", **({"description": node["description"]} if "description" in node else {})}
        target = self._target(reference)
        if target is None:
            self._lose(here, "the reference leads nowhere in the schema")
            return self.node({name: value for name, value in node.items() if name != "$ref"}, where, refs, depth + 1)
        merged = {**target, **{name: value for name, value in node.items() if name != "$ref"}}
        return self.node(merged, where, (*refs, reference), depth + 1)

    def _target(self, reference: str) -> Schema | None:
        if not reference.startswith("#"):
            return None
        node = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else None

    def _whole(self, node: Schema, where: Where) -> Schema:
        """The node with its allOf put into it. Members that two of them say differently are announced; the first counts."""
        parts = _listed(node, "allOf")
        if not parts:
            return node
        out = {name: value for name, value in node.items() if name != "allOf"}
        for index, part in enumerate(parts):
            reference = part.get("$ref") if isinstance(part, dict) else None
            known = self._target(reference) if isinstance(reference, str) else part
            for name, value in (known if isinstance(known, dict) else {}).items():
                if name == "properties" and isinstance(value, dict):
                    out[name] = {**value, **out.get(name, {})}
                elif name == "required" and isinstance(value, list):
                    out[name] = [*out.get(name, []), *(one for one in value if one not in out.get(name, []))]
                elif out.setdefault(name, value) != value:
                    self._lose((((where, "allOf"), index), name), "two schemas that both hold say different things")
        return out

    def _type(self, node: Schema, out: Schema, where: Where) -> list[Schema]:
        """Sets type and nullable; of several types, gives the alternatives that they are."""
        kind = node.get("type")
        kinds = (
            [kind]
            if isinstance(kind, str)
            else [word for word in kind if isinstance(word, str)]
            if isinstance(kind, list)
            else []
        )
        if node.get("nullable") is True or "null" in kinds or _null_among(node):
            out["nullable"] = True
        plain = [word for word in kinds if word != "null"]
        if len(plain) > 1:
            return [{"type": word, **({"items": node["items"]} if word == "array" and "items" in node else {})} for word in plain]
        if plain:
            out["type"] = plain[0].upper()
        elif kinds:
            out["type"] = "NULL"
        elif "properties" in node:
            out["type"] = "OBJECT"
        elif "items" in node or "prefixItems" in node:
            out["type"] = "ARRAY"
        return []

    def _about(self, node: Schema, out: Schema, where: Where) -> None:
        lines = [node["description"]] if isinstance(node.get("description"), str) else []
        form = node.get("format")
        if isinstance(form, str) and form != "enum":
            if form in _FORMATS.get(str(out.get("type")), ()):
                out["format"] = form
            else:
                lines.append(f"Format: {form}.")
        if lines:
            out["description"] = "\n".join(lines)
        for name in _KEPT:
            if name in node:
                out[name] = node[name]
        if _listed(node, "examples"):
            out["example"] = node["examples"][0]
            if len(node["examples"]) > 1:
                self._lose((where, "examples"), "the target's schemas have one example")
        elif "example" in node:
            out["example"] = node["example"]

    def _values(self, node: Schema, out: Schema, where: Where) -> None:
        values = [node["const"]] if "const" in node else node.get("enum")
        if isinstance(values, list) and values:
            plain = [value for value in values if value is not None]
            if len(plain) < len(values):
                out["nullable"] = True
            if plain and all(isinstance(value, str) for value in plain):
                out.update(type="STRING", format="enum", enum=plain)
            elif plain:
                said = f"One of: {', '.join(encode(value).decode() for value in plain)}."
                out["description"] = f"{out['description']}\n{said}" if "description" in out else said
                self._lose((where, "const" if "const" in node else "enum"), "the target's enums are of strings: said in words")
        for name, step in (("minimum", 1), ("maximum", -1)):
            limit = node.get(name)
            strict = node.get(f"exclusive{name.capitalize()}")
            if isinstance(strict, int | float) and not isinstance(strict, bool):
                whole = out.get("type") == "INTEGER" and float(strict).is_integer()
                limit = int(strict) + step if whole else strict
                if not whole:
                    self._lose((where, f"exclusive{name.capitalize()}"), f"as {name}: the target has no bounds that are left out")
            if limit is not None:
                out[name] = limit

    def _inside(self, node: Schema, out: Schema, where: Where, refs: tuple[str, ...], depth: int) -> None:
        properties = node.get("properties")
        if isinstance(properties, dict) and properties:
            place: Where = (where, "properties")
            out["properties"] = {name: self.node(inner, (place, name), refs, depth + 1) for name, inner in properties.items()}
            out["propertyOrdering"] = list(properties)
            required = [name for name in _listed(node, "required") if name in properties]
            if required:
                out["required"] = required
        if len(out.get("required", ())) < len(_listed(node, "required")):
            self._lose((where, "required"), "the target takes no required property that is not described")
        if node.get("additionalProperties") not in (None, False, True, {}):
            self._lose((where, "additionalProperties"), "the target's objects have no other properties than the described ones")
        tuples = _listed(node, "prefixItems")
        if tuples:
            self._lose((where, "prefixItems"), "the target's arrays have items of one schema")
            here: Where = (where, "prefixItems")
            out["items"] = {"anyOf": [self.node(one, (here, at), refs, depth + 1) for at, one in enumerate(tuples)]}
        elif out.get("type") == "ARRAY":
            out["items"] = self.node(node.get("items", {}), (where, "items"), refs, depth + 1)  # the target demands one

    def _options(self, options: list[Any], out: Schema, where: Where, refs: tuple[str, ...], depth: int) -> None:
        rest = [option for option in options if not (isinstance(option, dict) and option.get("type") == "null")]
        if any(option is True or option == {} for option in rest):
            return  # one of them takes anything, so all of them do
        if len(rest) == 1 and isinstance(rest[0], dict):
            inner = self.node(rest[0], (where, "anyOf"), refs, depth + 1)
            out.update({name: value for name, value in inner.items() if name not in out})
        elif rest:
            out["anyOf"] = [self.node(option, ((where, "anyOf"), at), refs, depth + 1) for at, option in enumerate(rest)]


def _listed(node: Schema, name: str) -> list[Any]:
    value = node.get(name)
    return value if isinstance(value, list) else []


def _null_among(node: Schema) -> bool:
    return any(
        isinstance(option, dict) and option.get("type") == "null" for option in _listed(node, "anyOf") + _listed(node, "oneOf")
    )
