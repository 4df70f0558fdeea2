"""What is worth telling an operator, one line each. Decides nothing."""

from __future__ import annotations

from typing import Literal

import msgspec


class Note(msgspec.Struct, frozen=True):
    """`warning` is said at every start, `info` only by `check`. `about` is a variable, or a file and line."""

    level: Literal["warning", "info"]
    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


def warning(about: str, text: str) -> Note:
    return Note("warning", about, text)


def info(about: str, text: str) -> Note:
    return Note("info", about, text)


def quoted(text: str, limit: int = 80) -> str:
    """The text between quotes, as it may stand in a message of one line: no control characters, no more than one can read."""
    plain = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text[:limit])
    return f"'{plain}{'...' if len(text) > limit else ''}'"
