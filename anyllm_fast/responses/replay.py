"""Reasoning that a client does not give back, kept here and put back into its next request. Knows no HTTP.

An upstream signs what it thought before a tool call and wants it back with the call's result. Clients that have no slot for such
a thing drop it. So what was signed is kept under the id of the call, for the credential that made it, in the same bounded store
as responses; and where a later request has the call without any reasoning of that upstream, it is put before it.

Only the calls behind the last words of the user are looked up: vendors ask for no earlier ones.
"""

from __future__ import annotations

import hashlib
import time
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast import faults
from anyllm_fast.neutral.request import Part, Request, Text, Thinking, ToolCall, Turn
from anyllm_fast.neutral.stream import Remembered
from anyllm_fast.responses.store import Kept, Shelf, StoreFailed

MAX_CALLS: Final = 32
_encode = msgspec.json.Encoder().encode


class _Entry(msgspec.Struct):
    """What stood before one call, as JSON strings with the origin that they belong to."""

    origin: str
    pieces: list[tuple[Raw, Raw, bool]]  # text, signature, redacted


_decode = msgspec.json.Decoder(_Entry).decode


class Replay:
    """Of one worker."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def keep(self, owner: bytes, origin: str, remembered: list[Remembered]) -> None:
        by_call: dict[bytes, list[tuple[Raw, Raw, bool]]] = {}
        for one in remembered:
            piece = (Raw(b'"%b"' % one.text), Raw(b'"%b"' % one.signature), one.redacted)
            by_call.setdefault(one.call, []).append(piece)
        for call, pieces in by_call.items():
            self._shelf.keep(Kept(_key(call), owner, _encode(_Entry(origin, pieces)), b"", time.time()))

    async def restore(self, owner: bytes, origin: str, request: Request) -> None:
        """Puts back, before calls of the turns in question, what an upstream of the dialect `origin` signed before them."""
        for turn in _open_turns(request.turns):
            if not any(type(part) is Thinking and part.origin == origin for part in turn.parts):
                turn.parts = await self._restored(owner, origin, turn.parts)

    async def _restored(self, owner: bytes, origin: str, parts: list[Part]) -> list[Part]:
        """What the client gave back of the same reasoning, without its signature, makes place."""
        out: list[Part] = []
        signed = False
        for part in parts:
            if type(part) is ToolCall:
                entry = await self._entry(owner, bytes(part.ident)[1:-1])
                if entry is not None and entry.origin == origin:
                    before = [
                        Thinking(text=signature if redacted else text, signature=None if redacted else signature, origin=origin)
                        for text, signature, redacted in entry.pieces
                    ]
                    for thinking, (_, _, redacted) in zip(before, entry.pieces, strict=True):
                        thinking.redacted = redacted
                        thinking.where = part.where
                    place = _behind_calls(out)
                    out[place:place] = before
                    signed = True
            out.append(part)
        return [part for part in out if not (signed and type(part) is Thinking and not part.origin)]

    async def _entry(self, owner: bytes, call: bytes) -> _Entry | None:
        try:
            kept = await self._shelf.get(owner, _key(call))
        except StoreFailed as error:
            faults.report("replay", error)
            return None
        return None if kept is None else _decode(kept.reply)


def _key(call: bytes) -> str:
    return "call_" + hashlib.sha256(call).hexdigest()


def _open_turns(turns: list[Turn]) -> list[Turn]:
    """The assistant's turns since the user last said something, those with calls."""
    found: list[Turn] = []
    for turn in reversed(turns):
        if turn.role == "user" and any(type(part) is Text for part in turn.parts):
            break
        if turn.role == "assistant" and any(type(part) is ToolCall for part in turn.parts):
            found.append(turn)
    return found[:MAX_CALLS]


def _behind_calls(out: list[Part]) -> int:
    """Where reasoning goes that stood before the next call: before the text that stands there too, behind earlier calls."""
    place = len(out)
    while place and type(out[place - 1]) is not ToolCall and type(out[place - 1]) is not Thinking:
        place -= 1
    return place
