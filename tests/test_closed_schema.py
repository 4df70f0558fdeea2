"""dialects/closed_schema.py: objects are closed where they do not say themselves, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.dialects.closed_schema import closed
from tests.requests import asked, to_anthropic

OPEN = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {"b": {}}}}}}


def test_every_object_that_names_its_properties_is_closed() -> None:
    found = json.loads(bytes(closed(Raw(json.dumps(OPEN).encode()))))
    assert found["additionalProperties"] is False
    assert found["properties"]["a"]["items"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object"},
        {"properties": 1},
        {"enum": [{"properties": {}}]},
    ],
)
def test_a_schema_that_says_it_itself_keeps_every_byte(schema: dict[str, Any]) -> None:
    raw = Raw(json.dumps(schema, indent=3).encode())
    assert closed(raw) is raw


def test_claude_gets_the_schema_of_a_chat_client_in_the_form_that_it_takes() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": OPEN}}
    sent, lost = to_anthropic(asked(response_format=form))
    assert sent["output_config"]["format"]["schema"]["additionalProperties"] is False and lost == {}
