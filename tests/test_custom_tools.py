"""anyllm_fast/neutral/custom_tools.py: free-form tools as functions, and the text in and out of their arguments."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from anyllm_fast.neutral.custom_tools import CLOSE, OPEN, SCHEMA, args_of, as_function, deeper, input_of
from anyllm_fast.neutral.members import string_of
from anyllm_fast.neutral.request import CustomTool

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(TEXT, st.booleans())
def test_a_text_comes_out_of_its_arguments_as_it_went_in(text: str, ascii_only: bool) -> None:
    span = json.dumps(text, ensure_ascii=ascii_only)
    assert input_of(args_of(Raw(span.encode()))) == span[1:-1].encode()


@given(st.lists(TEXT, max_size=4), st.booleans())
def test_pieces_between_the_brackets_are_the_arguments(pieces: list[str], ascii_only: bool) -> None:
    spans = [json.dumps(piece, ensure_ascii=ascii_only)[1:-1].encode() for piece in pieces]
    args = OPEN + b"".join(map(deeper, spans)) + CLOSE
    assert json.loads(json.loads(b'"%b"' % args)) == {"input": "".join(pieces)}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (b'{"input":"a"}', "a"),
        (b'{ "x": 1, "input" : "a\\nb" }', "a\nb"),
        (b'{"input":5}', '{"input":5}'),
        (b'{"text":"a"}', '{"text":"a"}'),
        (b"*** Begin Patch", "*** Begin Patch"),
        (b'{"input":"cut', '{"input":"cut'),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_arguments_that_a_model_wrote_otherwise_are_the_text_themselves(args: bytes, text: str) -> None:
    assert json.loads(b'"%b"' % input_of(args)) == text


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (None, "d"),
        ({"type": "text"}, "d"),
        (
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /x/"}},
            "d\n\nThe input has to follow this lark",
        ),
        ({"type": "grammar", "syntax": "regex", "definition": "x+"}, "d\n\nThe input has to follow this regex grammar:\nx+"),
        ({"type": 5}, "d"),
    ],
)
def test_a_grammar_is_told_in_the_description(form: object, told: str) -> None:
    raw = None if form is None else Raw(json.dumps(form).encode())
    tool = as_function(CustomTool(name=string_of("c"), description=string_of("d"), format=raw))
    assert tool.schema == SCHEMA and tool.description is not None
    assert json.loads(bytes(tool.description)).startswith(told)


def test_a_tool_without_words_has_no_description() -> None:
    assert as_function(CustomTool(name=string_of("c"))).description is None
