"""What some Gemini models and hosts do to their streams. Each takes the chunks and the last one, and gives both back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Chunk = dict[str, Any]
Habit = Callable[[list[Chunk], Chunk], tuple[list[Chunk], Chunk]]


def no_last_parts(rows: list[Chunk], last: Chunk) -> tuple[list[Chunk], Chunk]:
    """The last chunk has a reason and no content."""
    for candidate in last["candidates"]:
        candidate["content"] = {}
    return rows, last


def no_role(rows: list[Chunk], last: Chunk) -> tuple[list[Chunk], Chunk]:
    for row in (*rows, last):
        for candidate in row["candidates"]:
            candidate["content"].pop("role", None)
    return rows, last


def no_index(rows: list[Chunk], last: Chunk) -> tuple[list[Chunk], Chunk]:
    """Protobuf's JSON leaves out what is 0."""
    for row in (*rows, last):
        for candidate in row["candidates"]:
            candidate.pop("index", None)
    return rows, last


def usage_first(rows: list[Chunk], last: Chunk) -> tuple[list[Chunk], Chunk]:
    """A chunk before all others that has no candidates."""
    head = {k: v for k, v in (rows[0] if rows else last).items() if k != "candidates"}
    return [head, *rows], last


def usage_after(rows: list[Chunk], last: Chunk) -> tuple[list[Chunk], Chunk]:
    """The counts come in a chunk of their own behind the one with the reason."""
    tail = {k: v for k, v in last.items() if k != "candidates"}
    return [*rows, {k: v for k, v in last.items() if k != "usageMetadata"}], tail


def no_args(rows: list[Chunk], last: Chunk) -> tuple[list[Chunk], Chunk]:
    """A call without arguments has no `args`."""
    for row in rows:
        for part in row["candidates"][0]["content"].get("parts", ()):
            if "functionCall" in part and not part["functionCall"]["args"]:
                del part["functionCall"]["args"]
    return rows, last


CHUNKS: dict[str, Habit] = {
    "no_last_parts": no_last_parts,
    "no_role": no_role,
    "no_index": no_index,
    "usage_first": usage_first,
    "usage_after": usage_after,
    "no_args": no_args,
}
