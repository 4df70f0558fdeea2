"""What the scripted Responses service keeps: responses by their id, and which items it issued. Writes and refuses nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]
MOST = 2000


@dataclass
class Kept:
    """`input` is what the request brought, `context` all that the model saw and said."""

    response: dict[str, Any]
    input: list[Item] = field(default_factory=list)
    context: list[Item] = field(default_factory=list)
    polled: int = 0


@dataclass(frozen=True)
class Issued:
    """An item of an answer: whether it can be referred to, and the id of the reasoning that it followed."""

    item: Item
    stored: bool
    after: str = ""


class State:
    """Bounded: the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._issued: OrderedDict[str, Issued] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, kept: Kept) -> None:
        with self._lock:
            self._kept[kept.response["id"]] = kept
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def find(self, ident: str) -> Kept | None:
        return self._kept.get(ident)

    def drop(self, ident: str) -> bool:
        with self._lock:
            return self._kept.pop(ident, None) is not None

    def context(self, previous: str | None) -> list[Item]:
        kept = self._kept.get(previous or "")
        return list(kept.context) if kept else []

    def issue(self, items: list[Item], stored: bool) -> None:
        """Notes the items of one answer."""
        after = ""
        with self._lock:
            for item in items:
                self._issued[item["id"]] = Issued(item, stored, after)
                after = item["id"] if item["type"] == "reasoning" else ""
            while len(self._issued) > MOST * 4:
                self._issued.popitem(last=False)

    def issued(self, ident: str) -> Issued | None:
        return self._issued.get(ident)
