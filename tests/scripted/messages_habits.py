"""Habits of servers that call themselves compatible with Messages: the meaning stays, the shape does not.

Seen on llama.cpp, vLLM, SGLang, Ollama and the compatible endpoints of DeepSeek, GLM, Kimi and MiniMax.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Rows = list[Row]
Habit = Callable[[Rows, Rows, Rows], tuple[Rows, Rows, Rows]]


def input_absent_at_the_start(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    """llama.cpp: a tool_use starts without `input`."""
    for row in body:
        row.get("content_block", {}).pop("input", None)
    return head, body, tail


def input_whole_at_the_start(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    """The whole input stands in content_block_start and no delta follows."""
    whole: dict[int, str] = {}
    for row in body:
        if row.get("delta", {}).get("type") == "input_json_delta":
            whole[row["index"]] = whole.get(row["index"], "") + row["delta"]["partial_json"]
    for row in body:
        if row["type"] == "content_block_start" and row["index"] in whole:
            row["content_block"]["input"] = json.loads(whole[row["index"]])
    return head, [r for r in body if r.get("delta", {}).get("type") != "input_json_delta"], tail


def text_at_the_start(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    """The first words of a text stand in content_block_start."""
    kept: Rows = []
    for row in body:
        before = kept[-1] if kept else {}
        opened = before.get("content_block", {}).get("type") == "text" and not before["content_block"]["text"]
        if opened and row.get("delta", {}).get("type") == "text_delta":
            before["content_block"]["text"] = row["delta"]["text"]
        else:
            kept.append(row)
    return head, kept, tail


def usage_only_at_the_end(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    usage = head[0]["message"].pop("usage")
    tail[0]["usage"] = {**usage, **tail[0]["usage"]}
    return head, body, tail


def no_signature(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    """Thinking of a model that does not sign."""
    for row in body:
        row.get("content_block", {}).pop("signature", None)
    return head, [r for r in body if r.get("delta", {}).get("type") != "signature_delta"], tail


def unknown_events(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    strange: Row = {"type": "weather_report", "index": 0, "delta": {"type": "rain"}}
    return [*head, strange], [r for row in body for r in (row, strange)], [strange, *tail]


def bare_message(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    """message_start without what a client does not need."""
    message = head[0]["message"]
    head[0]["message"] = {k: message[k] for k in ("role", "content", "usage")}
    return head, body, tail


def stop_before_the_blocks_close(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    """The last content_block_stop is missing."""
    return head, body[:-1], tail


def end_turn_after_calls(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    tail[0]["delta"]["stop_reason"] = "end_turn"
    return head, body, tail


def stop_reason_null(head: Rows, body: Rows, tail: Rows) -> tuple[Rows, Rows, Rows]:
    tail[0]["delta"]["stop_reason"] = None
    return head, body, tail


EVENTS: dict[str, Habit] = {
    f.__name__: f
    for f in (
        input_absent_at_the_start,
        input_whole_at_the_start,
        text_at_the_start,
        usage_only_at_the_end,
        no_signature,
        unknown_events,
        bare_message,
        stop_before_the_blocks_close,
        end_turn_after_calls,
        stop_reason_null,
    )
}


def _bare(reply: Row) -> None:
    for key in ("id", "type", "stop_details", "stop_sequence"):
        reply.pop(key)
    reply["usage"] = {k: reply["usage"][k] for k in ("input_tokens", "output_tokens")}


def _unknown_block(reply: Row) -> None:
    reply["content"].append({"type": "weather_report", "rain": True})


DOCUMENTS: dict[str, Callable[[Row], None]] = {
    "bare_message": _bare,
    "unknown_events": _unknown_block,
    "end_turn_after_calls": lambda reply: reply.update(stop_reason="end_turn"),
    "stop_reason_null": lambda reply: reply.update(stop_reason=None),
}
