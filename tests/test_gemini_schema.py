"""anyllm_fast/dialects/gemini_schema.py: JSON schemas and Gemini's subset of OpenAPI, each made into the other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from anyllm_fast.dialects.gemini_schema import from_openapi, lowered, to_openapi
from anyllm_fast.neutral.losses import ROOT, Losses

Json = dict[str, Any]


def plain(schema: Json) -> Json:
    found: Json = json.loads(bytes(from_openapi(Raw(json.dumps(schema).encode()))))
    return found


def subset(schema: Any) -> tuple[Json, set[str]]:
    losses = Losses()
    out = to_openapi(Raw(json.dumps(schema).encode()), ROOT, losses.add)
    types.Schema.model_validate(out)
    return out, {path for path, _ in losses}


class TestToJsonSchema:
    def test_types_are_written_small_and_null_is_a_type(self) -> None:
        assert plain({"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}) == {
            "type": "object",
            "properties": {"a": {"type": ["string", "null"]}},
        }

    def test_an_enum_that_may_be_null_has_null_in_it(self) -> None:
        assert plain({"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True}) == {
            "type": ["string", "null"],
            "enum": ["a", None],
        }

    def test_alternatives_that_may_be_null_get_one_more(self) -> None:
        assert plain({"anyOf": [{"type": "STRING"}], "nullable": True}) == {"anyOf": [{"type": "string"}, {"type": "null"}]}

    def test_properties_stand_in_the_order_that_was_asked_for(self) -> None:
        schema = {"type": "OBJECT", "properties": {"a": {}, "b": {}, "c": {}}, "propertyOrdering": ["c", "a"]}
        assert list(plain(schema)["properties"]) == ["c", "a", "b"] and "propertyOrdering" not in plain(schema)

    def test_both_spellings_and_numbers_as_strings_are_read(self) -> None:
        assert plain({"type": "ARRAY", "min_items": "2", "maxItems": 3, "items": {"any_of": [{"type": "STRING"}]}}) == {
            "type": "array",
            "minItems": 2,
            "maxItems": 3,
            "items": {"anyOf": [{"type": "string"}]},
        }

    def test_an_enum_of_integers_holds_integers(self) -> None:
        assert plain({"type": "INTEGER", "enum": ["1", "2"]})["enum"] == [1, 2]

    def test_references_have_their_json_schema_names(self) -> None:
        schema = {"ref": "#/defs/A", "defs": {"A": {"type": "STRING"}}}
        assert plain(schema) == {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}

    def test_a_property_named_like_a_keyword_is_a_property(self) -> None:
        """W52 of the reference: properties called default, not or type."""
        schema = {
            "type": "OBJECT",
            "properties": {"type": {"type": "STRING"}, "nullable": {"type": "STRING"}, "ref": {"type": "NULL"}},
        }
        assert list(plain(schema)["properties"]) == ["type", "nullable", "ref"]

    def test_a_schema_without_capitals_is_not_touched(self) -> None:
        raw = Raw(b'{ "type":"object", "properties":{"b":{},"a":{"minimum":1.50}} }')
        assert lowered(raw) is raw

    def test_capitals_inside_a_json_schema_are_lowered(self) -> None:
        raw = Raw(b'{"type":"OBJECT","properties":{"a":{"type":["STRING","NULL"],"enum":["OBJECT"]}}}')
        assert json.loads(bytes(lowered(raw))) == {
            "type": "object",
            "properties": {"a": {"type": ["string", "null"], "enum": ["OBJECT"]}},
        }

    def test_bottomless_nesting_is_left_as_it_is(self) -> None:
        schema: Json = {"type": "STRING"}
        for _ in range(200):
            schema = {"type": "ARRAY", "items": schema}
        assert plain(schema)["type"] == "array"


class TestToTheSubset:
    def test_types_are_capital_and_null_is_nullable(self) -> None:
        assert subset({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}) == (
            {
                "type": "OBJECT",
                "properties": {"a": {"nullable": True, "type": "STRING"}},
                "propertyOrdering": ["a"],
                "required": ["a"],
            },
            set(),
        )

    def test_a_nullable_union_keeps_its_alternatives(self) -> None:
        """W52 of the reference: anyOf is converted, not dropped."""
        assert subset({"anyOf": [{"type": "string"}, {"type": "null"}]}) == ({"nullable": True, "type": "STRING"}, set())
        assert subset({"anyOf": [{"type": "string"}, {"type": "integer"}]})[0] == {
            "anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]
        }

    @pytest.mark.parametrize("name", ["default", "not", "const", "if", "then", "else", "definitions", "$ref", "anyOf", "type"])
    def test_a_property_named_like_a_keyword_stays_where_it_is_required(self, name: str) -> None:
        """W52 of the reference."""
        schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
        out, lost = subset(schema)
        assert out["properties"] == {name: {"type": "STRING"}} and out["required"] == [name] and not lost

    def test_references_are_written_out(self) -> None:
        schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
        assert subset(schema)[0]["properties"] == {"a": {"type": "STRING"}}

    def test_a_schema_that_contains_itself_is_cut_off_and_said_so(self) -> None:
        node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}
        out, lost = subset({"$ref": "#/$defs/N", "$defs": {"N": node}})
        assert out["properties"]["next"] == {"type": "OBJECT"} and lost == {"properties.next.$ref"}

    def test_references_that_multiply_are_bounded(self) -> None:
        defs = {f"L{n}": {"anyOf": [{"$ref": f"#/$defs/L{n + 1}"}] * 8} for n in range(20)}
        defs["L20"] = {"type": "string"}
        out, lost = subset({"$ref": "#/$defs/L0", "$defs": defs})
        assert lost and len(json.dumps(out)) < 10_000_000

    def test_a_reference_that_leads_nowhere_is_said_so(self) -> None:
        assert subset({"$ref": "#/$defs/A", "description": "d"}) == ({"description": "d"}, {"$ref"})

    def test_all_of_is_put_together(self) -> None:
        schema = {
            "allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]
        }
        out, lost = subset(schema)
        assert list(out["properties"]) == ["b", "a"] and out["required"] == ["a"] and not lost
        assert subset({"allOf": [{"type": "string"}, {"type": "integer"}]})[1] == {"allOf.1.type"}

    def test_a_constant_is_an_enum_of_one(self) -> None:
        assert subset({"const": "a"})[0] == {"type": "STRING", "format": "enum", "enum": ["a"]}

    def test_an_enum_of_numbers_is_said_in_words(self) -> None:
        out, lost = subset({"type": "integer", "enum": [1, 2]})
        assert out == {"type": "INTEGER", "description": "One of: 1, 2."} and lost == {"enum"}

    def test_a_format_that_the_subset_does_not_have_is_in_the_description(self) -> None:
        assert subset({"type": "string", "format": "uuid", "description": "An id."}) == (
            {"type": "STRING", "description": "An id.\nFormat: uuid."},
            set(),
        )
        assert subset({"type": "string", "format": "date-time"})[0]["format"] == "date-time"

    def test_what_cannot_be_said_is_announced_with_its_path(self) -> None:
        schema = {
            "type": "object",
            "properties": {"a": {"type": "object", "patternProperties": {"x": {}}}, "b": {"type": "array", "uniqueItems": True}},
            "additionalProperties": {"type": "string"},
            "not": {"type": "null"},
        }
        assert subset(schema)[1] == {"properties.a.patternProperties", "properties.b.uniqueItems", "additionalProperties", "not"}

    def test_closing_an_object_is_no_loss(self) -> None:
        """The model never adds properties of its own."""
        assert subset({"type": "object", "properties": {"a": {}}, "additionalProperties": False, "$schema": "x"})[1] == set()

    def test_a_required_property_that_is_not_described_is_announced(self) -> None:
        out, lost = subset({"type": "object", "properties": {"a": {}}, "required": ["a", "b"]})
        assert out["required"] == ["a"] and lost == {"required"}

    def test_bounds_that_are_left_out_move_by_one_for_integers(self) -> None:
        assert subset({"type": "integer", "exclusiveMinimum": 0})[0]["minimum"] == 1
        assert subset({"type": "number", "exclusiveMaximum": 1})[1] == {"exclusiveMaximum"}

    def test_an_array_always_has_items(self) -> None:
        assert subset({"type": "array"})[0] == {"type": "ARRAY", "items": {}}


SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [{}, True, {"type": "string"}, {"type": ["integer", "null"]}, {"enum": ["a", None]}, {"$ref": "#/properties/a"}]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["string", "object"]]),
            "properties": st.dictionaries(st.sampled_from(["a", "not", "type"]), inner, max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
            "minItems": st.integers(0, 3),
        },
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(schema=SCHEMAS)
def test_any_schema_becomes_one_of_the_subset(schema: Any) -> None:
    if isinstance(schema, dict):
        subset(schema)
