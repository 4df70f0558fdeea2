"""anyllm_fast.neutral.members: what it takes out, how it complains."""

from __future__ import annotations

import pytest
from msgspec import Raw

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral import members as kit
from anyllm_fast.neutral.losses import ROOT

WHERE = ((ROOT, "messages"), 3)


def refusal(call: object, *args: object) -> str:
    with pytest.raises(InvalidRequest) as caught:
        call(*args)  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a":1} x', "not valid JSON"),
        (b'{"a":NaN}', "not valid JSON"),
        (b'{"a":"\\ud800"}', "not valid JSON"),
        (b'{"a":"\\udc00\\ud800"}', "not valid JSON"),
        (b'{"a":"\xff"}', "not UTF-8 (byte 6)"),
        (b'{"\xff":1}', "not UTF-8 (byte 2)"),
        (b"[1]", "expected a JSON object"),
        (b'"x"', "expected a JSON object"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_a_body_that_is_no_object_is_refused_with_the_reason(body: bytes, said: str) -> None:
    assert said in refusal(kit.open_body, body)


def test_a_body_is_opened_the_same_way_whether_its_members_are_expected_or_not() -> None:
    opener = kit.Opener(("messages", "tools"), ("model", "x"))
    body = '{"model":"m","messages":[{"a":"ä"}],"tools":null,"x":null%s}'
    known, lists = opener.open((body % "").encode())
    more, same = opener.open((body % ',"y":1').encode())
    assert lists == same == {"messages": [{"a": Raw('"ä"'.encode())}], "tools": None}
    assert kit.leftovers(known) == {"model": Raw(b'"m"')} and kit.leftovers(more) == {"model": Raw(b'"m"'), "y": Raw(b"1")}
    assert refusal(opener.open, b'{"messages":[{},1]}') == "messages.1: expected an object, got an integer"
    assert refusal(opener.open, b'{"messages":{}}') == "messages: expected an array, got an object"
    assert "not UTF-8 (byte 2)" in refusal(opener.open, b'{"\xff":1}')


def test_what_is_left_raw_is_as_it_was_written() -> None:
    opened = kit.open_body(b'{ "a" : [1, 2.50 ] , "b":"\\u00e4\\/" }')
    assert bytes(opened["a"]) == b"[1, 2.50 ]"
    assert bytes(opened["b"]) == b'"\\u00e4\\/"'


def test_an_array_with_something_else_among_its_objects_is_refused_at_that_place() -> None:
    assert refusal(kit.open_objects, Raw(b'[{},{"a":1},"x"]'), WHERE) == "messages.3.2: expected an object, got a string"
    assert refusal(kit.open_objects, Raw(b"{}"), WHERE) == "messages.3: expected an array, got an object"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"1", "an integer"),
        (b"-1.5", "a number with a fraction"),
        (b"true", "true"),
        (b"null", "null"),
        (b"[]", "an array"),
        (b"{}", "an object"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(value: bytes, kind: str) -> None:
    assert kit.kind_of(Raw(value)) == kind
    said = refusal(kit.need_string, {"text": Raw(value)}, "text", WHERE)
    assert said == (
        "messages.3.text: required: expected a string" if kind == "null" else f"messages.3.text: expected a string, got {kind}"
    )


def test_a_null_counts_as_absent() -> None:
    members = {"a": kit.NULL, "b": kit.NULL, "c": kit.NULL, "d": Raw(b"1")}
    assert kit.take(members, "a") is None
    assert kit.take_string(members, "b", WHERE) is None
    assert kit.leftovers(members) == {"d": Raw(b"1")}
    assert refusal(kit.need, members, "c", "an array", WHERE) == "messages.3.c: required: expected an array"


def test_a_number_keeps_its_spelling_and_must_be_one_that_can_be_carried() -> None:
    members = {
        "p": Raw(b"0.9"),
        "k": Raw(b"40.0"),
        "huge": Raw(b"1e400"),
        "part": Raw(b"1.5"),
        "below": Raw(b"-1"),
        "word": Raw(b'"1"'),
    }
    assert bytes(kit.take_number(members, "p", ROOT) or b"") == b"0.9"
    assert bytes(kit.take_count(members, "k", ROOT) or b"") == b"40"
    assert refusal(kit.take_number, members, "huge", ROOT) == "huge: a number too large to be carried"
    assert refusal(kit.take_count, members, "part", ROOT) == "part: expected an integer, got a number with a fraction"
    assert refusal(kit.take_count, members, "below", ROOT) == "below: must not be negative"
    assert refusal(kit.take_number, members, "word", ROOT) == "word: expected a number, got a string"


def test_a_flag_is_true_or_false() -> None:
    members = {"yes": Raw(b"true"), "no": Raw(b"false"), "word": Raw(b'"true"')}
    assert kit.take_flag(members, "yes", ROOT) is True
    assert kit.take_flag(members, "no", ROOT) is False
    assert kit.take_flag(members, "gone", ROOT) is None
    assert refusal(kit.take_flag, members, "word", ROOT) == "word: expected true or false, got a string"


def test_strings_are_joined_without_being_unescaped() -> None:
    assert bytes(kit.joined([Raw(b'"a\\n"'), Raw(b'"\\u00e4"')], b"\\n")) == b'"a\\n\\n\\u00e4"'
