"""Cache marks and their lifetimes: `{"type":"ephemeral","ttl":"5m"}` and its like, written alike by all. Knows no dialect."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import leftovers, open_object, take, text_of
from anyllm_fast.neutral.request import CacheMark, Members

_LIFETIME: Final = re.compile(r"([1-9]\d{0,6})([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


def take_mark(members: Members, name: str, kind: tuple[str, bytes], where: Where) -> CacheMark | None:
    """The mark in member `name`; `kind` is the member and value that say nothing more than that it is one."""
    raw = take(members, name)
    if raw is None:
        return None
    here = (where, name)
    inside = open_object(raw, here)
    if inside.get(kind[0]) == Raw(kind[1]):
        del inside[kind[0]]
    seconds = _seconds(inside.get("ttl"))
    if seconds:
        del inside["ttl"]
    return CacheMark(ttl=seconds, private=leftovers(inside), where=here)


def lifetime(seconds: int) -> str:
    """`5m`, `1h`: the largest unit that says it exactly."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _seconds(raw: Raw | None) -> int:
    """0 for what is no lifetime: it stays a private member of the mark."""
    if raw is None or bytes(raw)[:1] != b'"':
        return 0
    match = _LIFETIME.fullmatch(text_of(raw))
    return int(match[1]) * _SECONDS[match[2]] if match else 0
