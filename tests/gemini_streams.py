"""Chunks of Gemini streams for tests: written, and read as strictly as the SDKs read them."""

from __future__ import annotations

from typing import Any

import msgspec
from google.genai import types

from tests.streams import data_frame


def part(**members: Any) -> bytes:
    return chunk([members])


def chunk(parts: list[Any] | None = None, *, top: dict[str, Any] | None = None, **candidate: Any) -> bytes:
    content = {} if parts is None else {"content": {"parts": parts, "role": "model"}}
    return data_frame({"candidates": [{**content, "index": 0, **candidate}], **(top or {})})


STOP = chunk(finishReason="STOP")


def counted(**counts: Any) -> dict[str, Any]:
    return {"usageMetadata": counts}


def read_chunks(out: bytes) -> list[Any]:
    """Strict: `data: ` lines only, each behind the other; the SDKs take nothing else. A bare object may come last."""
    frames = out.split(b"\n\n")
    rest = frames.pop()
    assert all(frame.startswith(b"data: {") and b"\n" not in frame and b"\r" not in frame for frame in frames), out
    found = [msgspec.json.decode(frame[6:]) for frame in frames]
    for body in found:
        known = {name: value for name, value in body.items() if name != "x-anyllm-degradation"}
        types.GenerateContentResponse.model_validate(known)
    if rest:
        found.append(msgspec.json.decode(rest))
        assert list(found[-1]) == ["error"]
    return found
