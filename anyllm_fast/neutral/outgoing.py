"""What every request writer asks at every node: the target's facts, where to announce, and whose private members these are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Raw

from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import ROOT, Losses, Where
from anyllm_fast.neutral.members import joined, refuse, string_of, text_of
from anyllm_fast.neutral.request import CacheMark, Foreign, Inner, Members, Part, Refusal, Request, Text

_TOOL_NAME = re.compile(rb"[a-zA-Z0-9_-]+")
_NO_LIST = Raw(b"[]")
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

    def parted(self, parts: list[Part]) -> tuple[list[Part], list[Part]]:
        """(texts, all others) of a system prompt, for APIs whose prompts are text alone: the others are shown as the user's. What
        only its own dialect knows is taken as what it says; one that says nothing stays as it is."""
        texts: list[Part] = []
        others: list[Part] = []
        for part in parts:
            if isinstance(part, Foreign) and part.parts and not all(isinstance(each, Text) for each in part.parts):
                self.foreign(part)
                if part.cache is not None:
                    self.lose(part.cache.where, "what it stands on is shown in another place")
                said, shown = self.parted(part.parts)
                texts += said
                others += shown
            else:
                (texts if isinstance(part, Text | Refusal | Foreign) else others).append(part)
        return texts, others

    def framed(self, parts: list[Part], where: Where) -> Text | None:
        """The texts of a system message amid the others, for models that know no such role: as the user's words, marked as what
        they are. None where there are none. The last cache mark stands behind it all."""
        texts = list(self._texts(parts))
        if not texts:
            return None
        marks = [text.cache for text in texts if text.cache is not None]
        for mark in marks[:-1]:
            self.lose(mark.where, "the texts of a system message go as one, with its last mark behind it")
        said = b'"<system>\\n' + bytes(joined([text.text for text in texts], b"\\n"))[1:-1] + b'\\n</system>"'
        return Text(text=Raw(said), cache=marks[-1] if marks else None, where=where)

    def _texts(self, parts: list[Part]) -> Iterator[Text]:
        for part in parts:
            match part:
                case Text() | Refusal():
                    self.private({}, part.private, part.where)
                    cache = part.cache if isinstance(part, Text) else None
                    if isinstance(part, Text) and part.citations not in (None, _NO_LIST):
                        self.lose((part.where, "citations"))
                    if text_of(part.text).strip():
                        yield Text(text=part.text, cache=cache, where=part.where)
                    elif cache is not None:
                        self.lose(cache.where, "a blank text is left out, so there is nothing to mark")
                case Foreign():
                    if part.parts is None:
                        raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
                    self.foreign(part)
                    if part.cache is not None:
                        self.lose(part.cache.where, "the target takes no mark on it here")
                    yield from self._texts(part.parts)


def short(ident: Raw, limit: int) -> Raw:
    """An opaque identifier that fits: longer ones become the hash of themselves, the same one each time."""
    if len(memoryview(ident)) - 2 <= limit:
        return ident
    return string_of(digest(text_of(ident))[:limit])


def digest(text: str) -> str:
    """64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()
