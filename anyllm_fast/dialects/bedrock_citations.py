"""Citations between the form of Bedrock Converse and Anthropic's, which the middle uses. Nothing else.

Both name a place in a document, in a search result or on a page of the web, under other names. Anthropic's has one quoted text
where Converse lists several, and an opaque index and a file id that Converse has no member for; Converse names a source where
Anthropic has one for search results only. What has no place is named, for the caller to announce.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.members import encode, is_string, joined, text_of

Members = dict[str, Raw]

_PLACES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "web": ("web_search_result_location", {"url": "url"}),
    "documentChar": (
        "char_location",
        {"documentIndex": "document_index", "start": "start_char_index", "end": "end_char_index"},
    ),
    "documentPage": (
        "page_location",
        {"documentIndex": "document_index", "start": "start_page_number", "end": "end_page_number"},
    ),
    "documentChunk": (
        "content_block_location",
        {"documentIndex": "document_index", "start": "start_block_index", "end": "end_block_index"},
    ),
    "searchResultLocation": (
        "search_result_location",
        {"searchResultIndex": "search_result_index", "start": "start_block_index", "end": "end_block_index"},
    ),
}
"""Member of `location` -> Anthropic's type, and its members by theirs."""
_KINDS: Final = {kind: (place, {theirs: ours for ours, theirs in names.items()}) for place, (kind, names) in _PLACES.items()}
_TITLES: Final = {
    "char_location": "document_title",
    "page_location": "document_title",
    "content_block_location": "document_title",
}
_NULL: Final = Raw(b"null")
_NO_TEXT: Final = Raw(b'""')

_decode: Final = msgspec.json.Decoder(Members).decode
_decode_items: Final = msgspec.json.Decoder(list[Members]).decode


def citation_of(raw: bytes) -> tuple[bytes, list[str]] | None:
    """Anthropic's citation for one of Converse (in a reply, or the event of a stream), and the members that it has no place for;
    None for one without a known place. The domain of a page is in its address."""
    try:
        cited = _decode(raw)
        location = _decode(cited.pop("location", Raw(b"{}")))
        place = next((name for name in _PLACES if name in location), None)
        if place is None:
            return None
        kind, names = _PLACES[place]
        out: Members = {"type": Raw(encode(kind)), "cited_text": _quote(cited.pop("sourceContent", None))}
        for name, value in _decode(location[place]).items():
            if name in names:
                out[names[name]] = value
    except ValueError:  # msgspec's errors are
        return None
    title = cited.pop("title", None)
    if title is not None or kind in _TITLES:
        out[_TITLES.get(kind, "title")] = _NULL if title is None else title
    if kind == "web_search_result_location":
        out.setdefault("encrypted_index", _NO_TEXT)
        out.setdefault("title", _NULL)
    if kind == "search_result_location" and "source" in cited:
        out["source"] = cited.pop("source")
    return encode(out), [name for name, value in cited.items() if value != _NULL]


def converse_citation(raw: bytes) -> tuple[bytes, list[str]] | None:
    """Converse's citation for one of Anthropic's, and the members that it has no place for; None for a type that is not known."""
    try:
        cited = _decode(raw)
        kind: str = msgspec.json.decode(cited.pop("type", _NO_TEXT), type=str)
    except ValueError:
        return None
    if kind not in _KINDS:
        return None
    place, names = _KINDS[kind]
    out: Members = {}
    title = cited.pop(_TITLES.get(kind, "title"), _NULL)
    if title != _NULL:
        out["title"] = title
    quote = cited.pop("cited_text", _NULL)
    if is_string(quote) and quote != _NO_TEXT:
        out["sourceContent"] = Raw(encode([{"text": quote}]))
    inside = {names[name]: cited.pop(name) for name in names if name in cited}
    if place == "web" and (host := _host(inside.get("url"))):
        inside["domain"] = Raw(encode(host))
    out["location"] = Raw(encode({place: inside}))
    if "source" in cited:
        out["source"] = cited.pop("source")
    return encode(out), [name for name, value in cited.items() if value not in (_NULL, _NO_TEXT)]


def _host(url: Raw | None) -> str:
    try:
        return urlsplit(text_of(url)).hostname or "" if url is not None and is_string(url) else ""
    except ValueError:
        return ""


def _quote(raw: Raw | None) -> Raw:
    """What was quoted, as one text."""
    texts = [] if raw is None else [item["text"] for item in _decode_items(raw) if is_string(item.get("text", _NULL))]
    return joined(texts, b"") if texts else _NO_TEXT
