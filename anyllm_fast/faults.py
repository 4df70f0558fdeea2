"""Faults of ours, told to the operator: one JSON line with the traceback on stderr. Never told to the caller."""

from __future__ import annotations

import sys
import time
import traceback

import msgspec


def report(request_id: str, error: BaseException) -> None:
    """Rare by definition, so it is written at once and blocking."""
    line = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "level": "ERROR",
        "message": "fault in the gateway",
        "request_id": request_id,
        "error": f"{type(error).__name__}: {error}"[:500],
        "traceback": [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in _frames(error)],
    }
    sys.stderr.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stderr.flush()


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__))[-12:]
