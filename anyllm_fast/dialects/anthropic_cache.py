"""cache_control of Anthropic Messages, both ways."""

from __future__ import annotations

from typing import Final

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.marks import lifetime, take_mark
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CacheMark, Members

MAX_MARKS: Final = 4  # more are a 400 of the API
_SHORT: Final = 300
_LONG: Final = 3600


def take_cache(members: Members, where: Where) -> CacheMark | None:
    if "cache_control" not in members:
        return None
    return take_mark(members, "cache_control", ("type", b'"ephemeral"'), where)


def write_mark(out: Json, mark: CacheMark | None, outgoing: Outgoing) -> None:
    """A lifetime that the API does not have becomes the next longer one; the longest is an hour."""
    if mark is None:
        return
    said: Json = {"type": "ephemeral"}
    if mark.ttl:
        said["ttl"] = lifetime(mark.ttl if outgoing.own else _SHORT if mark.ttl <= _SHORT else _LONG)
        if mark.ttl > _LONG and not outgoing.own:
            outgoing.lose((mark.where, "ttl"), "the target keeps prompts for an hour at most")
    outgoing.private(said, mark.private, mark.where)
    out["cache_control"] = said
    outgoing.marks.append((out, mark))


def settle_marks(outgoing: Outgoing) -> None:
    """Of more marks than the API takes the last ones stay: they reach over the longest part of the prompt. Nor may a mark be
    followed by one that lives longer, so the earlier gets the longer life."""
    if outgoing.own:
        return
    for out, mark in outgoing.marks[:-MAX_MARKS]:
        del out["cache_control"]
        outgoing.lose(mark.where, f"the target takes {MAX_MARKS} cache marks at most")
    long = False
    for out, _ in reversed(outgoing.marks[-MAX_MARKS:]):
        said = out["cache_control"]
        long = long or said.get("ttl") == lifetime(_LONG)
        if long:
            said["ttl"] = lifetime(_LONG)
