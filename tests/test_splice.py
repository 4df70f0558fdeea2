"""A member of a request body replaced: every other byte stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams import TWINS, each_twin

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("model"), inner, max_size=4),
    max_leaves=12,
)


@each_twin
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"NEW"}'),
        (b' { "x" : 1 ,\n "model" :\t"a" , "y":2 } ', b' { "x" : 1 ,\n "model" :\t"NEW" , "y":2 } '),
        (b'{"model":"a","messages":[{"model":"b","content":"\\"model\\":\\"c\\""}]}', None),
        (b'{"metadata":{"model":"b"},"model":"a"}', b'{"metadata":{"model":"b"},"model":"NEW"}'),
        (b'{"a":"model","model":"a","b":["model"]}', b'{"a":"model","model":"NEW","b":["model"]}'),
        (b'{"model":"a","model":"b"}', b'{"model":"NEW","model":"NEW"}'),
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"NEW"}'),
        (
            b'{"\\u006d\\u006F\\u0064\\u0065\\u006c":"a","model":"b"}',
            b'{"\\u006d\\u006F\\u0064\\u0065\\u006c":"NEW","model":"NEW"}',
        ),
        (b'{"model":null}', b'{"model":"NEW"}'),
        (b'{"model":{"model":["}"]},"x":1}', b'{"model":"NEW","x":1}'),
        (b'{"model":[1,{"a":"]"}] }', b'{"model":"NEW" }'),
        (b'{"model":"\\\\","x":"\\\\\\""}', b'{"model":"NEW","x":"\\\\\\""}'),
        (b'{"Model":"a","model ":"b","":"c"}', b'{"Model":"a","model ":"b","":"c"}'),
        (b"{}", b"{}"),
        (b'[{"model":"a"}]', b'[{"model":"a"}]'),
        (b'"model"', b'"model"'),
        (
            b'{"messages":' + b"[" * 300 + b"]" * 300 + b',"model":"a"}',
            b'{"messages":' + b"[" * 300 + b"]" * 300 + b',"model":"NEW"}',
        ),
    ],
)
def test_only_the_value_at_the_top_changes(twin: Any, body: bytes, expected: bytes | None) -> None:
    if expected is None:
        expected = body.replace(b'"model":"a"', b'"model":"NEW"')
    assert twin.splice_model(body, b"NEW") == expected
    assert twin.splice_member(body, b"model", b'"NEW"') == expected


@each_twin
def test_a_body_without_the_member_is_returned_itself(twin: Any) -> None:
    body = b'{"messages":[{"role":"user","content":"model"}]}'
    assert twin.splice_model(body, b"x") is body


@each_twin
def test_any_raw_value_can_be_put_in(twin: Any) -> None:
    body = b'{"stream_options":null,"stream":true}'
    assert twin.splice_member(body, b"stream_options", b'{"include_usage":true}') == (
        b'{"stream_options":{"include_usage":true},"stream":true}'
    )


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8) | st.just("model"), JSON, max_size=6), st.booleans(), st.integers(0, 3))
def test_a_spliced_body_says_the_same_but_for_the_member(body: dict[str, Any], ascii_only: bool, indent: int) -> None:
    text = json.dumps(body, ensure_ascii=ascii_only, indent=indent or None).encode("utf-8", "surrogatepass")
    expected = {**body, "model": "N"} if "model" in body else body
    for twin in TWINS:
        assert json.loads(twin.splice_model(text, b"N").decode("utf-8", "surrogatepass")) == json.loads(json.dumps(expected))
