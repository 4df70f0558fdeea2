"""What every request writer asks at every node: the target's facts, where to announce, and whose private members these are."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from msgspec import Raw

from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import refuse, string_of, text_of
from anyllm_fast.neutral.request import CacheMark, Foreign, Inner, Members, Request

_TOOL_NAME = re.compile(rb"[a-zA-Z0-9_-]+")
_OTHER = re.compile(r"[^a-zA-Z0-9_-]")

Json = dict[str, Any]
"""An outgoing object: plain members, Raw where nothing had to be looked at."""

UNKNOWN = "not known to the target's API"


class Outgoing:
    """One request on its way into `dialect`. `own`: it came in that dialect, so what only that dialect knows goes back in."""

    __slots__ = ("_aliases", "losses", "marks", "own", "profile", "request")

    def __init__(self, request: Request, dialect: str, profile: Profile, losses: Losses) -> None:
        self.request = request
        self.profile = profile
        self.losses = losses
        self.own = request.source == dialect
        self._aliases: dict[bytes, Raw] = {}
        self.marks: list[tuple[Json, CacheMark]] = []  # cache marks that were written, in the order of the prompt

    def tool_name(self, name: Raw, where: Where, limit: int) -> Raw:
        """What the target calls a tool: its name, or an alias where that is longer than `limit` or has other characters than
        letters, digits, _ and -. The same name always gives the same alias; the reply is given the name back
        (Request.renamed)."""
        span = bytes(name)[1:-1]
        if self.own or (len(span) <= limit and _TOOL_NAME.fullmatch(span)):
            return name
        known = self._aliases.get(span)
        if known is None:
            if not span:
                raise refuse(where, "must not be empty")
            text = text_of(name)
            stem = _OTHER.sub("_", text)[: limit - 9]
            alias = f"{stem}_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
            self.request.renamed[alias.encode()] = span
            known = self._aliases[span] = string_of(alias)
        return known

    def call_id(self, ident: Raw, limit: int = 64) -> Raw:
        """What the target calls a tool call: its id, or where that has other characters or is longer, one made from it. The same
        id always gives the same, so that calls, results and earlier turns stay together."""
        span = bytes(ident)[1:-1]
        if self.own or (len(span) <= limit and _TOOL_NAME.fullmatch(span)):
            return ident
        return string_of(f"call_{digest(text_of(ident))[: min(limit, 37) - 5]}")

    def lose(self, where: Where, reason: str = UNKNOWN) -> None:
        self.losses.add(where, reason)

    def private(self, out: Json, private: Members, where: Where) -> None:
        """Members that only the source dialect knows: written back by it, announced by every other."""
        if not private:
            return
        if self.own:
            out.update(private)
        else:
            for name in private:
                self.losses.add((where, name), UNKNOWN)

    def inner(self, out: Json, inner: Inner, where: Where) -> None:
        """The same for objects inside a node; `out` has them already, or gets them."""
        for name, members in inner.items():
            if self.own:
                out[name] = {**out.get(name, {}), **members}
            else:
                self.private({}, members, (where, name))

    def top_level(self, out: Json) -> None:
        """The request's own leftovers; those that say a documented default are not missed."""
        request = self.request
        if self.own:
            out.update(request.private)
            self.inner(out, request.inner, ROOT)
            return
        for name in request.private:
            if name not in request.idle:
                self.losses.add((ROOT, name), UNKNOWN)
        for name, members in request.inner.items():
            for member in members:
                if f"{name}.{member}" not in request.idle:
                    self.losses.add(((ROOT, name), member), UNKNOWN)

    def foreign(self, part: Foreign) -> None:
        for where in part.unsaid:
            self.losses.add(where, f"of a {part.type} part only what can be read is carried")


def short(ident: Raw, limit: int) -> Raw:
    """An opaque identifier that fits: longer ones become the hash of themselves, the same one each time."""
    if len(memoryview(ident)) - 2 <= limit:
        return ident
    return string_of(digest(text_of(ident))[:limit])


def digest(text: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()
