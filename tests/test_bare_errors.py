"""A JSON object in a stream that is no event: how Google's servers say that they failed in mid-stream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gemini_streams import part
from tests.streams import OTHER, each_twin, every_cutting, piped, watched

pytestmark = each_twin

ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "The model is overloaded.",\n    "status": "UNAVAILABLE"\n  }\n}\n'
CHAT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
MESSAGE = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'


@pytest.mark.parametrize("behind", [b"", b"\n", b"\r\n\r\n", b"\n" + part(text="never")])
@pytest.mark.parametrize(("dialect", "before"), [("gemini", part(text="x")), ("openai_chat", CHAT), ("anthropic", MESSAGE)])
def test_an_error_that_is_no_event_is_the_failure_that_it_says(twin: Any, dialect: str, before: bytes, behind: bytes) -> None:
    for error in (ERROR, ERROR.replace(b"\n", b"\r\n"), ERROR.replace(b"\n", b"") + b"\n"):
        for make in (lambda: piped(twin, dialect, OTHER[dialect]), lambda: watched(twin, dialect)):
            found = every_cutting(make, before + error + behind)
            assert found.failure is not None and (found.failure.kind, found.failure.status) == ("overloaded", 503)
            assert b"never" not in found.out and b"model is overloaded" in found.out
            assert not found.out.endswith(b"}\n\n") or b"\n  " not in found.out
