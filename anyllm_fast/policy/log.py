"""One line per call, written by a thread: the event loop only appends. No credential, and no body unless LOG_BODIES."""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import Any

import msgspec

from anyllm_fast.call import Call, Policy
from anyllm_fast.config import Settings

_LEVELS = {"off": 60, "error": 40, "warn": 30, "info": 20, "debug": 10, "trace": 5}
_QUEUE_LIMIT = 10_000
_BODY_SHOWN = 16384
_encode = msgspec.json.Encoder().encode


class Log(Policy):
    """INFO for a call that went well, WARN for one that was refused, ERROR for one that the upstream or the gateway failed.

    Lines that cannot be written as fast as they come are dropped and counted: a full disk or a stopped reader of stdout must not
    stop the fleet. The count is written as soon as writing works again.
    """

    def __init__(self, settings: Settings) -> None:
        self._threshold = _LEVELS.get(settings.log_level, 20)
        self._write = _text if settings.log_format == "text" else _json
        self._bodies = settings.log_bodies
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, settings: Settings) -> Log | None:
        return None if _LEVELS.get(settings.log_level, 20) >= 60 else cls(settings)

    def settle(self, call: Call) -> None:
        outcome = call.outcome
        status = outcome.status
        if not outcome.error and status < 400:
            level, weight = "INFO", 20
        elif status < 500 and not outcome.upstream_status and not outcome.client_gone:
            level, weight = "WARN", 30
        elif outcome.client_gone:
            level, weight = "INFO", 20
        else:
            level, weight = "ERROR", 40
        if call.losses and weight < 30:
            level, weight = "WARN", 30
        if weight < self._threshold or call.route.operation == "health":
            return
        if self._lines.qsize() >= _QUEUE_LIMIT:
            self._dropped += 1
            return
        line = _fields(call, level)
        if self._bodies:
            line["request_body"] = call.body[:_BODY_SHOWN].decode("utf-8", "replace")
        self._lines.put(line)

    def close(self) -> None:
        """Writes what is left; at most a second."""
        self._lines.put(None)
        self._thread.join(1.0)

    def _drain(self) -> None:
        while True:
            line = self._lines.get()
            batch: list[bytes] = []
            while line is not None:
                batch.append(self._write(line))
                if self._lines.empty() or len(batch) >= 500:
                    break
                line = self._lines.get()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                batch.append(
                    self._write({"timestamp": _stamp(time.time()), "level": "WARN", "message": f"{dropped} log lines dropped"})
                )
            try:
                os.write(1, b"".join(batch))
            except OSError:
                self._dropped += len(batch)
                time.sleep(0.2)
            if line is None:
                return
            time.sleep(0.05)  # what arrives together leaves together


def _fields(call: Call, level: str) -> dict[str, Any]:
    outcome = call.outcome
    line: dict[str, Any] = {
        "timestamp": _stamp(call.started_wall),
        "level": level,
        "message": "client left" if outcome.client_gone else "request",
        "request_id": call.request_id,
        "method": call.method,
        "path": call.path,
        "status": outcome.status,
        "duration_ms": round((outcome.ended_at - call.started) * 1000, 2),
    }
    if outcome.first_byte_at:
        line["first_byte_ms"] = round((outcome.first_byte_at - call.started) * 1000, 2)
    if call.target is not None:
        line |= {"backend": call.target.name, "model": call.model, "upstream_model": call.target_model, "stream": call.stream}
        line["upstream_status"] = outcome.upstream_status
    usage = outcome.usage
    if usage.known:
        line |= {"input_tokens": max(usage.prompt, 0), "output_tokens": max(usage.output, 0)}
        if usage.cache_read > 0:
            line["cache_read_tokens"] = usage.cache_read
        if usage.cache_write > 0:
            line["cache_write_tokens"] = usage.cache_write
    if outcome.stop_reason:
        line["stop_reason"] = outcome.stop_reason
    if call.key_name:
        line["key"] = call.key_name
    if outcome.error:
        line |= {"error": outcome.error, "error_message": outcome.message[:500]}
    if call.losses:
        line["degradation"] = dict(call.losses)
    return line


def _stamp(wall: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(wall)) + f".{int(wall * 1000) % 1000:03d}Z"


def _json(line: dict[str, Any]) -> bytes:
    return _encode(line) + b"\n"


def _text(line: dict[str, Any]) -> bytes:
    head = f"{line.pop('timestamp')} {line.pop('level'):5} {line.pop('message')}"
    return (head + "".join(f" {name}={value}" for name, value in line.items()) + "\n").encode()
