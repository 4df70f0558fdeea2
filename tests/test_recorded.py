"""dialects/recorded.py: a stream read as the reply that it stands for."""

from __future__ import annotations

import pytest

from anyllm_fast.dialects import DIALECTS
from anyllm_fast.dialects.recorded import is_stream
from anyllm_fast.neutral.reply import TextPart
from tests.speech import INPUT, OUTPUT, TEXT, TONGUES, Tongue, document, error_frame, speak

NAMES: dict[Tongue, str] = {"chat": "openai_chat", "messages": "anthropic"}
each_tongue = pytest.mark.parametrize("tongue", TONGUES)


@each_tongue
def test_a_body_is_a_stream_by_how_it_begins(tongue: Tongue) -> None:
    body = speak(tongue).body
    for start in (b"", b"\n\n", b": comment\n\n", b"\xef\xbb\xbf", b"id: 1\n", b"retry: 5\n", b"event: x\n"):
        assert is_stream(start + body)
    for other in (
        document(tongue),
        b" \n" + document(tongue),
        b"",
        b" \n",
        b"<html>data: x</html>",
        b"[]",
        b"datax: 1",
        b'"data:"',
    ):
        assert not is_stream(other)


@each_tongue
def test_a_whole_stream_is_a_reply_with_its_counts(tongue: Tongue) -> None:
    reply = DIALECTS[NAMES[tongue]].read_stream(speak(tongue).body, 65536)
    (part,) = reply.parts
    assert isinstance(part, TextPart) and part.text.decode() == TEXT.replace("\\", "\\\\")
    assert (reply.stop_reason, reply.failure, reply.ended) == ("end_turn", None, True)
    assert (reply.usage.input, reply.usage.output) == (INPUT, OUTPUT)


@each_tongue
def test_what_is_cut_broken_too_large_or_says_so_has_a_failure(tongue: Tongue) -> None:
    spoken = speak(tongue)
    dialect = DIALECTS[NAMES[tongue]]
    begun = b"".join([*spoken.opening, *spoken.deltas])
    for body in (begun, begun[:-9], b"data: {\n\n" + spoken.body, spoken.opening[0]):
        failure = dialect.read_stream(body, 65536).failure
        assert failure is not None and failure.status == 502
    failure = dialect.read_stream(begun + error_frame(tongue, "slow down") + b"".join(spoken.end), 65536).failure
    assert failure is not None and (failure.kind, failure.message) == ("rate_limit", "slow down")
    failure = dialect.read_stream(b": " + b"x" * 2000 + b"\n\n" + spoken.body, 1000).failure
    assert failure is not None and "1000 bytes" in failure.message
    assert dialect.read_stream(spoken.body + b"data: " + b"x" * 2000, 1000).failure is None, "it was whole before that"
