"""What was signed before a call is kept beside the stream, by both twins, where it is asked for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyllm_fast.neutral.stream import Remembered
from tests.streams import DIALECTS, OPTIONS, each_twin, encoder

REMEMBER = msgspec.structs.replace(OPTIONS, remember=True)


def say(sink: Any) -> None:
    sink.start(b"id", b"m")
    sink.thinking(b"one ")
    sink.thinking(b"thought")
    sink.seal(b"SIG1")
    sink.redacted(b"DATA")
    sink.text(b"words")
    sink.tool(0, b"call_1", b"f")
    sink.args(0, b"{}")
    sink.tool(1, b"call_2", b"f")
    sink.args(1, b"{}")
    sink.thinking(b"unsigned")
    sink.seal(b"")
    sink.thinking(b"two")
    sink.seal(b"SIG2")
    sink.tool(2, b"call_3", b"f")
    sink.args(2, b"{}")
    sink.end()


@each_twin
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_call_has_what_was_signed_since_the_call_before(twin: Any, dialect: str) -> None:
    made = encoder(twin, dialect, REMEMBER)
    say(made)
    assert made.remembered == [
        Remembered(b"call_1", b"one thought", b"SIG1"),
        Remembered(b"call_1", b"", b"DATA", True),
        Remembered(b"call_3", b"two", b"SIG2"),
    ]


@each_twin
def test_nothing_is_kept_unasked(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    say(made)
    assert made.remembered == []
