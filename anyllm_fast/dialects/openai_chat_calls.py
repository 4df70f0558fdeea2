"""Tool calls of a Chat Completions stream while they arrive, in every way that hosts number them. Decodes no JSON.

The text of a free-form tool becomes the arguments `{"input": "the text"}`. When it is complete only the end of the reply says, so
the arguments are closed there.
"""

from __future__ import annotations

from typing import Final

from anyllm_fast.dialects.openai_chat_ends import synthetic
from anyllm_fast.dialects.repair import HELD_MAX, HELD_TOO_MUCH, MAX_CALLS, TOO_MANY_CALLS
from anyllm_fast.neutral.custom_tools import CLOSE, OPEN, deeper
from anyllm_fast.neutral.stream import Failure, Sink

NO_INDEX: Final = -1
LEGACY: Final = -2
"""The place of `function_call`, the form before there were tools."""


class Slot:
    """A tool call while it arrives. Begun for the sink as soon as its name and id are known, or its name and something of its
    arguments; what comes before that is held."""

    __slots__ = ("begun", "custom", "fed", "held", "ident", "index", "key", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.ident = b""
        self.name = b""
        self.held: list[bytes] = []
        self.begun = False
        self.custom = False  # of a free-form tool
        self.fed = False
        self.key = -1


class Calls:
    """Finds the call that a delta goes on with, and begins calls for the sink in the order in which they can be named."""

    __slots__ = ("_held_size", "_slots", "begun", "seed", "waiting")

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self._held_size = 0
        self.seed = b""
        self.begun = 0
        self.waiting = 0
        """Calls that were seen and not begun."""

    def find(self, index: int, ident: bytes, name: bytes, args: bytes) -> Slot | None:
        """The call that a delta goes on with; None if it begins another.

        By index; but an index with another id and name is another call (hosts that give every call index 0), and so are
        another name and arguments after arguments where nothing has an id. Without an index by id, and a delta with neither
        id nor name goes on with the last call.
        """
        if index == NO_INDEX:
            if ident:
                return next((slot for slot in reversed(self._slots) if slot.ident == ident), None)
            return self._slots[-1] if self._slots and not name else None
        slot = next((slot for slot in reversed(self._slots) if slot.index == index), None)
        if slot is None or not name:
            return slot
        if ident:
            return None if slot.ident and slot.ident != ident else slot
        return None if slot.fed and args and not slot.ident else slot

    def add(self, index: int) -> Slot | Failure:
        if len(self._slots) >= MAX_CALLS or index >= MAX_CALLS:
            return TOO_MANY_CALLS
        slot = Slot(index)
        self._slots.append(slot)
        self.waiting += 1
        return slot

    def feed(self, slot: Slot, ident: bytes, name: bytes, args: bytes, sink: Sink) -> Failure | None:
        """What a delta says of its call."""
        if slot.custom:
            args = deeper(args)
        if not slot.begun:
            slot.ident = slot.ident or ident
            slot.name = slot.name or name
            if not (slot.name and (slot.ident or args)):
                return self._hold(slot, args)
            self._begin(slot, sink)
        if args:
            slot.fed = True
            sink.args(slot.key, args)
        return None

    def begin_named(self, sink: Sink) -> None:
        """Something else comes: what has a name waits no longer for its id."""
        for slot in self._slots:
            if slot.name and not slot.begun:
                self._begin(slot, sink)

    def begin_rest(self, sink: Sink) -> None:
        """The reply stops: what has no name goes out without one, and texts are complete."""
        for slot in self._slots:
            if not slot.begun and (slot.ident or slot.held):
                self._begin(slot, sink)
            if slot.begun and slot.custom:
                sink.args(slot.key, CLOSE)

    def _hold(self, slot: Slot, args: bytes) -> Failure | None:
        self._held_size += len(args)
        if self._held_size > HELD_MAX:
            return HELD_TOO_MUCH
        if args:
            slot.held.append(args)
        return None

    def _begin(self, slot: Slot, sink: Sink) -> None:
        slot.begun, slot.key = True, self.begun
        self.begun += 1
        self.waiting -= 1
        repeated = any(other.begun and other is not slot and other.ident == slot.ident for other in self._slots)
        known = slot.ident and not repeated  # results are paired by id, so two calls may not share one
        sink.tool(slot.key, slot.ident if known else synthetic(self.seed, slot.key), slot.name)
        if slot.custom:
            sink.args(slot.key, OPEN)
        if slot.held:
            slot.fed = True
            sink.args(slot.key, b"".join(slot.held))
            slot.held.clear()
