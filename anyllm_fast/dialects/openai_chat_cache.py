"""Cache marks of OpenAI Chat Completions, both ways: prompt_cache_breakpoint, and cache_control where a client put one.

OpenAI's own is a member of content parts. OpenRouter's and LiteLLM's clients put Anthropic's on parts, messages and tools.
"""

from __future__ import annotations

from typing import Final

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.marks import lifetime, take_mark
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CacheMark, Members

_OURS: Final = "prompt_cache_breakpoint"
_THEIRS: Final = "cache_control"
_DEFAULT: Final = 1800  # what a mark without a lifetime gets
_LONG: Final = "12h"


def take_cache(members: Members, where: Where) -> CacheMark | None:
    if _OURS in members:
        return take_mark(members, _OURS, ("mode", b'"explicit"'), where)
    if _THEIRS in members:
        return take_mark(members, _THEIRS, ("type", b'"ephemeral"'), where)
    return None


def write_mark(out: Json, mark: CacheMark | None, outgoing: Outgoing) -> None:
    """On a content part: a lifetime becomes the next longer one that the API has."""
    if mark is None:
        return
    if outgoing.own:
        write_own(out, mark, outgoing)
    elif outgoing.profile.cache_breakpoints:
        said: Json = {"mode": "explicit"}
        if mark.ttl > _DEFAULT:
            said["ttl"] = _LONG
        outgoing.private(said, mark.private, mark.where)
        out[_OURS] = said
    else:
        drop(mark, outgoing)


def write_own(out: Json, mark: CacheMark, outgoing: Outgoing) -> None:
    """As the client wrote it, on whatever it was."""
    name = mark.where[1] if mark.where else _OURS
    said: Json = {"type": "ephemeral"} if name == _THEIRS else {"mode": "explicit"}
    if mark.ttl:
        said["ttl"] = lifetime(mark.ttl)
    outgoing.private(said, mark.private, mark.where)
    out[str(name)] = said


def drop(mark: CacheMark, outgoing: Outgoing) -> None:
    outgoing.lose(mark.where, "the target has no cache marks here")
