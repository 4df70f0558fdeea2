"""Cache points of Bedrock Converse, both ways: there a block of its own behind what may be cached, here a mark on it.

Where a point may stand is the model's affair: Claude takes one behind any block but reasoning, the others behind text alone
(behind a tool result or a tool it is a 400 there). Source: the user guide, "Prompt caching for faster model inference".
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.marks import lifetime, take_mark
from anyllm_fast.neutral.members import encode
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CacheMark, Foreign, Members, Part, Refusal, ServerTool, Tool

POINT: Final = "cachePoint"
MAX_POINTS: Final = 4  # more are a 400 of the API
_SHORT: Final = 300
_LONG: Final = 3600

Blocks = list[Json | Raw]


def read_point(members: Members, before: Part | Tool | ServerTool | None, where: Where) -> Foreign | None:
    """Marks what stands before the point; a point that has nothing to mark is kept whole, for this dialect."""
    raw = Raw(encode(members))
    mark = take_mark(members, POINT, ("type", b'"default"'), where)
    if before is not None and not isinstance(before, Refusal) and before.cache is None and not members:
        before.cache = mark
        return None
    return Foreign(type=POINT, raw=raw, parts=[], unsaid=[(where, POINT)], where=where)


def write_point(blocks: Blocks, mark: CacheMark | None, outgoing: Outgoing) -> None:
    """A point behind the last of `blocks`, where the model takes one. Two in one place are one, with the longer life."""
    if mark is None:
        return
    if not outgoing.own:
        if not outgoing.profile.cache_points:
            outgoing.private({}, mark.private, mark.where)
            outgoing.lose(mark.where, "the model takes no cache points")
            return
        if not blocks or not _takes_a_point(blocks[-1], outgoing):
            outgoing.lose(mark.where, "the model takes no cache point in this place")
            return
    said: Json = {"type": "default"}
    _write_life(said, mark, outgoing)
    outgoing.private(said, mark.private, mark.where)
    last = blocks[-1] if blocks else None
    if isinstance(last, dict) and POINT in last and not outgoing.own:
        if said.get("ttl") == lifetime(_LONG):
            last[POINT] = said
        return
    block: Json = {POINT: said}
    blocks.append(block)
    outgoing.marks.append((block, mark))


def _takes_a_point(block: Json | Raw, outgoing: Outgoing) -> bool:
    if isinstance(block, Raw):
        return False
    return "reasoningContent" not in block if outgoing.profile.anthropic_model else "text" in block or POINT in block


def _write_life(said: Json, mark: CacheMark, outgoing: Outgoing) -> None:
    """A lifetime that the API does not have becomes the next longer one; five minutes are what holds without a word."""
    if not mark.ttl:
        return
    if outgoing.own:
        said["ttl"] = lifetime(mark.ttl)
    elif outgoing.profile.cache_point_lives:
        said["ttl"] = lifetime(_SHORT if mark.ttl <= _SHORT else _LONG)
        if mark.ttl > _LONG:
            outgoing.lose((mark.where, "ttl"), "the target keeps prompts for an hour at most")
    elif mark.ttl > _SHORT:
        outgoing.lose((mark.where, "ttl"), "the model keeps prompts for five minutes")


def settle_points(outgoing: Outgoing) -> None:
    """Of more points than the API takes the last ones stay: they reach over the longest part of the prompt. Nor may a point be
    followed by one that lives longer, so the earlier gets the longer life. The others become empty blocks: see `settled`."""
    if outgoing.own:
        return
    for block, mark in outgoing.marks[:-MAX_POINTS]:
        block.clear()
        outgoing.lose(mark.where, f"the target takes {MAX_POINTS} cache points at most")
    long = False
    for block, _ in reversed(outgoing.marks[-MAX_POINTS:]):
        long = long or block[POINT].get("ttl") == lifetime(_LONG)
        if long:
            block[POINT]["ttl"] = lifetime(_LONG)


def settled(blocks: Blocks) -> Blocks:
    """Without the points that were one too many."""
    return [block for block in blocks if block != {}]
