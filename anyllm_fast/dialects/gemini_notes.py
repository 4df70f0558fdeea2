"""What a Gemini reply says about its text: sources and log probabilities, from and to the middle's forms. Called once per stream.

groundingMetadata names pages (groundingChunks) and which parts of the text each supports, by places that count bytes of UTF-8;
Chat's annotations count characters. So whoever translates between them keeps the text, up to SAID_MAX bytes of its escaped form.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.gemini_event import Lost, members_of
from anyllm_fast.dialects.repair import ABSENT, HELD_MAX, number, objects, string
from anyllm_fast.neutral.spans import text_of

SAID_MAX: Final = 1 << 20
MAX_ANNOTATIONS: Final = 1024

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_tokens = msgspec.json.Decoder(list[dict[str, Any]]).decode

# -- reading -----------------------------------------------------------------------------------------------------------

_SOURCES: Final = {"web": ("uri",), "maps": ("uri",), "retrievedContext": ("uri",), "image": ("sourceUri", "imageUri")}
"""Kinds of groundingChunks, and where their address is."""
_READ: Final = ("groundingChunks", "groundingSupports")


def read_notes(raws: list[tuple[bytes, bytes]], said: bytes) -> tuple[list[bytes], Lost]:
    """Chat's annotations for what is said of the text `said` (a span), and what is left over.

    `raws` are groundingMetadata and citationMetadata, their names and values, in order.
    """
    text = _Said(said)
    notes: dict[bytes, None] = {}
    lost: Lost = []
    for name, raw in raws:
        members = members_of(raw)
        if name == b"groundingMetadata":
            found = _grounding(members, text, lost)
            lost += [(_name(name, member), bytes(value)) for member, value in members.items() if _counts(member, value)]
        else:
            found = _citations(members, text, lost)
        for note in found[: MAX_ANNOTATIONS - len(notes)]:
            notes[note] = None
    return list(notes), lost


def _name(name: bytes, member: str) -> bytes:
    return b"candidates.%b.%b" % (name, member[:60].encode())


def _counts(member: str, value: Raw) -> bool:
    return member not in _READ and bytes(value) not in (b"null", b"{}", b"[]", b'""')


class _Said:
    """The text, and places in its bytes as places in its characters."""

    def __init__(self, span: bytes) -> None:
        try:
            self.text = text_of(span)
        except ValueError:
            self.text = span.decode("utf-8", "replace")
        self.utf8 = self.text.encode()

    def characters(self, begin: int, end: int, quoted: str) -> tuple[int, int]:
        """Where a segment is. Its own text is believed before its places, which count within a part."""
        place = self.utf8[begin:end]
        if quoted and place != quoted.encode() and (at := self.text.find(quoted)) >= 0:
            return at, at + len(quoted)
        first = len(self.utf8[:begin].decode("utf-8", "ignore"))
        return first, first + len(place.decode("utf-8", "ignore"))


def _grounding(members: dict[str, Raw], said: _Said, lost: Lost) -> list[bytes]:
    sources = [_source(chunk, lost) for chunk in objects(members.get("groundingChunks", ABSENT))]
    cited: set[int] = set()
    found = []
    for support in objects(members.get("groundingSupports", ABSENT)):
        about = members_of(support)
        _lose(about, ("segment", "groundingChunkIndices"), b"groundingSupports", lost)
        place = _place(members_of(about.get("segment", ABSENT)), said)
        for index in _numbers(about.get("groundingChunkIndices", ABSENT)):
            if 0 <= index < len(sources) and sources[index] is not None:
                cited.add(index)
                found.append(_annotation(sources[index], place))
    end = len(said.text), len(said.text)
    return found + [_annotation(source, end) for at, source in enumerate(sources) if source and at not in cited]


def _source(chunk: Raw, lost: Lost) -> tuple[bytes, bytes] | None:
    """(address, title), both quoted, of a groundingChunk of a kind that is known. What else it says is lost by name."""
    found = None
    for kind, value in members_of(chunk).items():
        members = members_of(value)
        name = next((name for name in _SOURCES.get(kind, ()) if string(members.get(name, ABSENT))), "")
        if found is not None or not name:
            lost.append((_name(b"groundingMetadata.groundingChunks", kind), bytes(value)))
            continue
        title = members.get("title", ABSENT)
        found = bytes(members[name]), bytes(title) if string(title) else b'""'
        _lose(members, (name, "title"), b"groundingChunks.%b" % kind.encode(), lost)
    return found


def _lose(members: dict[str, Raw], read: tuple[str, ...], where: bytes, lost: Lost) -> None:
    for member, value in members.items():
        if member not in read and _counts(member, value):
            lost.append((_name(b"groundingMetadata." + where, member), bytes(value)))


def _place(segment: dict[str, Raw], said: _Said) -> tuple[int, int]:
    begin = max(number(segment.get("startIndex", ABSENT)), 0)
    end = max(number(segment.get("endIndex", ABSENT)), begin)
    try:
        quoted = text_of(string(segment.get("text", ABSENT)))
    except ValueError:
        quoted = ""
    return said.characters(begin, end, quoted)


def _numbers(raw: Raw) -> list[int]:
    if bytes(raw)[:1] != b"[":
        return []
    return [int(one) for one in msgspec.json.decode(raw) if isinstance(one, int | float)]


def _annotation(source: tuple[bytes, bytes] | None, place: tuple[int, int]) -> bytes:
    address, title = source or (b'""', b'""')
    return b'{"type":"url_citation","url_citation":{"start_index":%d,"end_index":%d,"title":%b,"url":%b}}' % (
        *place,
        title,
        address,
    )


def _citations(members: dict[str, Raw], said: _Said, lost: Lost) -> list[bytes]:
    """citationMetadata: what the model recited, and from where. Sources without an address are lost by name."""
    found = []
    for name in ("citations", "citationSources"):
        for raw in objects(members.get(name, ABSENT)):
            citation = members_of(raw)
            for member in ("license", "publicationDate"):
                if member in citation and _counts(member, citation[member]):
                    lost.append((b"candidates.citationMetadata.citations.%b" % member.encode(), bytes(citation[member])))
            address, title = citation.get("uri", ABSENT), citation.get("title", ABSENT)
            if string(address):
                source = bytes(address), bytes(title) if string(title) else b'""'
                found.append(_annotation(source, _place(citation, said)))
            else:
                lost.append((b"candidates.citationMetadata.citations", bytes(raw)))
    return found


def read_logprobs(raw: bytes) -> bytes | None:
    """Chat's token objects for a logprobsResult; None where it has none."""
    try:
        result = _decode_object(_camel(raw))
    except (ValueError, RecursionError):
        return None
    tops = result.get("topCandidates")
    tokens = []
    for place, chosen in enumerate(result.get("chosenCandidates") or ()):
        if isinstance(chosen, dict):
            top = tops[place] if isinstance(tops, list) and place < len(tops) else {}
            others = top.get("candidates") if isinstance(top, dict) else None
            tokens.append({**_token(chosen), "top_logprobs": [_token(one) for one in others or () if isinstance(one, dict)]})
    return _encode(tokens) if tokens else None


def _camel(raw: bytes) -> bytes:
    for snake, camel in (
        (b'"chosen_candidates"', b'"chosenCandidates"'),
        (b'"top_candidates"', b'"topCandidates"'),
        (b'"log_probability"', b'"logProbability"'),
    ):
        raw = raw.replace(snake, camel)
    return raw


def _token(one: dict[str, Any]) -> dict[str, Any]:
    token = one.get("token")
    text = token if isinstance(token, str) else ""
    value = one.get("logProbability")
    # protobuf leaves out a 0, which is the logarithm of certainty
    return {"token": text, "logprob": value if isinstance(value, int | float) else 0.0, "bytes": list(text.encode())}


# -- writing -----------------------------------------------------------------------------------------------------------


class Notes:
    """What is to be said about the text in the last chunk. Places of citations are places in the span that was written."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._citations: list[tuple[bytes, int, int]] = []
        self._annotations: list[bytes] = []
        self._tokens: list[bytes] = []
        self._size = 0

    def add(self, name: bytes, raw: bytes) -> bool:
        """Takes a citation, annotation or logprobs; False for what is none, or too much."""
        kinds = {b"citation": self._waiting, b"annotation": self._annotations, b"logprobs": self._tokens}
        self._size += len(raw)
        if name not in kinds or self._size > HELD_MAX or (name == b"logprobs") != (raw[:1] == b"["):
            return False
        kinds[name].append(raw)
        return True

    def close(self, begin: int, end: int) -> None:
        """The text ended that the citations so far are about."""
        self._citations += [(raw, begin, end) for raw in self._waiting]
        self._waiting.clear()

    def write(self, said: bytes) -> tuple[bytes, list[bytes]]:
        """(members of the candidate, each after a comma; names of what has no form)."""
        lost: list[bytes] = []
        grounding = _Grounding(said)
        for raw, begin, end in self._citations + [(raw, len(said), len(said)) for raw in self._waiting]:
            if not grounding.cite(raw, begin, end, lost):
                lost.append(b"citation")
        for raw in self._annotations:
            if not grounding.annotate(raw):
                lost.append(b"annotation")
        members = grounding.written()
        if (result := _logprobs(self._tokens)) is not None:
            members += b',"logprobsResult":%b' % result
        elif self._tokens:
            lost.append(b"logprobs")
        return members, lost


_OF_PAGES: Final = ("cited_text", "encrypted_index")
"""What a citation of a web page says that `groundingChunks.web` has no place for."""


class _Grounding:
    """groundingMetadata as it is put together: each source once."""

    def __init__(self, said: bytes) -> None:
        self._span = said
        self._said = _Said(said)
        self._chunks: dict[bytes, int] = {}
        self._supports: list[Any] = []

    def cite(self, raw: bytes, begin: int, end: int, lost: list[bytes]) -> bool:
        """An Anthropic citation of the text between two places of the span."""
        try:
            cited = _decode_object(raw)
        except (ValueError, RecursionError):
            return False
        if cited.get("type") == "web_search_result_location" and isinstance(cited.get("url"), str):
            chunk: Any = {"web": {"uri": cited["url"], "title": _text(cited.get("title"))}}
            lost += [b"citation." + name.encode() for name in _OF_PAGES if cited.get(name)]
        elif isinstance(quoted := cited.get("cited_text"), str):
            title, source = cited.get("document_title") or cited.get("title"), cited.get("source")
            about = {"title": _text(title), "text": quoted}
            chunk = {"retrievedContext": {**about, "uri": source} if isinstance(source, str) else about}
            lost.append(b"citation.location")
        else:
            return False
        self._support(chunk, len(_Said(self._span[:begin]).utf8), len(_Said(self._span[:end]).utf8))
        return True

    def annotate(self, raw: bytes) -> bool:
        """A url_citation of Chat's, whose places are characters of the whole text."""
        try:
            cited = _decode_object(raw).get("url_citation")
        except (ValueError, RecursionError):
            return False
        if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
            return False
        begin, end = (len(self._said.text[: _index(cited.get(name))].encode()) for name in ("start_index", "end_index"))
        self._support({"web": {"uri": cited["url"], "title": _text(cited.get("title"))}}, begin, end)
        return True

    def _support(self, chunk: Any, begin: int, end: int) -> None:
        index = self._chunks.setdefault(_encode(chunk), len(self._chunks))
        if begin < end:
            quoted = self._said.utf8[begin:end].decode("utf-8", "ignore")
            segment = {"startIndex": begin, "endIndex": end, "text": quoted}
            self._supports.append({"segment": segment, "groundingChunkIndices": [index]})

    def written(self) -> bytes:
        if not self._chunks:
            return b""
        supports = b',"groundingSupports":%b' % _encode(self._supports) if self._supports else b""
        return b',"groundingMetadata":{"groundingChunks":[%b]%b}' % (b",".join(self._chunks), supports)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _index(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _tops(token: dict[str, Any]) -> list[dict[str, Any]]:
    found = token.get("top_logprobs")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _logprobs(arrays: list[bytes]) -> bytes | None:
    """A logprobsResult for Chat's token objects; None where there is none, or they are not ones."""
    try:
        tokens = [token for raw in arrays for token in _decode_tokens(raw)]
    except (ValueError, RecursionError):
        return None
    if not tokens:
        return None
    chosen = [_chosen(token) for token in tokens]
    tops = [_tops(token) for token in tokens]
    result: dict[str, Any] = {"chosenCandidates": chosen}
    if any(tops):
        result["topCandidates"] = [{"candidates": [_chosen(one) for one in top]} for top in tops]
    return _encode(result)


def _chosen(token: dict[str, Any]) -> dict[str, Any]:
    value = token.get("logprob")
    return {"token": _text(token.get("token")), "logProbability": value if isinstance(value, int | float) else 0.0}
