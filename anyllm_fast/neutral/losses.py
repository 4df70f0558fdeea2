"""What could not be carried, by path of the source body. Collects; announcing or refusing it is the gateway's business."""

from __future__ import annotations

from collections.abc import Iterator

Where = tuple["Where", str | int] | tuple[()]
"""A path as a linked list, root first: ((((), "messages"), 3), "content"). Cheap to extend, rendered only when needed."""

ROOT: Where = ()


def dotted(where: Where) -> str:
    """`messages.3.content.0`, the form of the error messages and of x-anyllm-degradation."""
    parts: list[str] = []
    while where:
        where, last = where
        parts.append(str(last))
    return ".".join(reversed(parts))


class Losses:
    """The losses of one request on its way to one target.

    Bounded: after `LIMIT` different paths only the count goes on (`more`).
    """

    LIMIT = 64
    __slots__ = ("_paths", "more")

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self.more = 0

    def add(self, where: Where, reason: str) -> None:
        """`reason` is one short clause, without the path, for the log and for a refusal."""
        if len(self._paths) >= self.LIMIT:
            self.more += 1
            return
        self._paths.setdefault(dotted(where), reason)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._paths.items())

    def header(self) -> bytes:
        """The value of x-anyllm-degradation: paths, comma separated; non-ASCII and control characters become `?`."""
        value = ", ".join(self._paths)
        if self.more:
            value += f", and {self.more} more"
        return "".join(c if " " <= c <= "~" else "?" for c in value).encode()
