"""What models and hosts behind Converse do to its streams, and how its messages get damaged. The meaning stays, or the stream is
no whole one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .aws_frames import corrupted

Event = tuple[str, dict[str, Any]]


def initial_response(events: list[Event]) -> list[Event]:
    """Some of AWS's protocols open every stream with this."""
    return [("initial-response", {}), *events]


def unknown_event(events: list[Event]) -> list[Event]:
    """An event that a later version brings."""
    return [*events[:2], ("weatherReport", {"rain": True}), *events[2:]]


def empty_deltas(events: list[Event]) -> list[Event]:
    """Nova sends pieces of nothing."""
    out: list[Event] = []
    for name, body in events:
        if "text" in body.get("delta", {}):
            out.append((name, {**body, "delta": {"text": ""}}))
        out.append((name, body))
    return out


def end_turn_after_calls(events: list[Event]) -> list[Event]:
    """Models that forget that they called a tool."""
    return [(name, {**body, "stopReason": "end_turn"} if name == "messageStop" else body) for name, body in events]


EVENTS: dict[str, Callable[[list[Event]], list[Event]]] = {
    habit.__name__: habit for habit in (initial_response, unknown_event, empty_deltas, end_turn_after_calls)
}


def wrong_checksum(messages: list[bytes]) -> list[bytes]:
    """One bit turned in the middle of the stream."""
    at = len(messages) // 2
    return [*messages[:at], corrupted(messages[at]), *messages[at + 1 :]]


def half_message(messages: list[bytes]) -> list[bytes]:
    """The body ends in the middle of a message, and no byte of the transport says so."""
    at = len(messages) // 2
    return [*messages[:at], messages[at][: len(messages[at]) // 2]]


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {d.__name__: d for d in (wrong_checksum, half_message)}
