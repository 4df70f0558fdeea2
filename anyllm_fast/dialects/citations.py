"""Web citations in the two forms that exist: Anthropic's on a text block, OpenAI's url_citation on a message. Nothing else.

Both name a page by address and title. Anthropic adds what was quoted and an opaque index that it wants back; OpenAI adds where
in the answer the mark stands. What one form has no member for rides along under its own name (the SDKs of both keep
members that they do not know), so a citation that goes out and comes back is the same citation.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.spans import text_of

_NO_TEXT = Raw(b'""')


class _Citation(msgspec.Struct):
    type: str
    url: Raw = Raw()
    title: Raw = Raw()
    cited_text: Raw = Raw()
    encrypted_index: Raw = Raw()


class _UrlCitation(msgspec.Struct):
    url: Raw = Raw()
    title: Raw = Raw()
    cited_text: Raw = Raw()
    encrypted_index: Raw = Raw()


class _Annotation(msgspec.Struct):
    type: str
    url_citation: _UrlCitation


_decode_citation = msgspec.json.Decoder(_Citation).decode
_decode_annotation = msgspec.json.Decoder(_Annotation).decode


def annotation_of(citation: bytes, start: int, end: int) -> bytes | None:
    """OpenAI's annotation for an Anthropic citation of the text between two character positions.

    None where OpenAI has no word for it (places in documents and search results of the client's own).
    """
    try:
        cited = _decode_citation(citation)
    except ValueError:
        return None
    if cited.type != "web_search_result_location" or not _is_string(cited.url):
        return None
    return b'{"type":"url_citation","url_citation":{"start_index":%d,"end_index":%d,"title":%b,"url":%b%b}}' % (
        start,
        end,
        _string(cited.title),
        bytes(cited.url),
        _also(b"cited_text", cited.cited_text) + _also(b"encrypted_index", cited.encrypted_index),
    )


def citation_of(annotation: bytes) -> bytes | None:
    """Anthropic's citation for an OpenAI annotation; None for one that is no url_citation.

    What was quoted and the opaque index are "" unless the annotation began as a citation of Anthropic's.
    """
    try:
        cited = _decode_annotation(annotation).url_citation
    except ValueError:
        return None
    if not _is_string(cited.url):
        return None
    return b'{"type":"web_search_result_location","cited_text":%b,"encrypted_index":%b,"title":%b,"url":%b}' % (
        _string(cited.cited_text),
        _string(cited.encrypted_index),
        _string(cited.title),
        bytes(cited.url),
    )


def length_of(span: bytes) -> int:
    """Characters that a span stands for; its bytes where it is not sound text."""
    try:
        return len(text_of(span))
    except ValueError:
        return len(span)


def _is_string(raw: Raw) -> bool:
    return bytes(raw)[:1] == b'"'


def _string(raw: Raw) -> bytes:
    return bytes(raw if _is_string(raw) else _NO_TEXT)


def _also(name: bytes, raw: Raw) -> bytes:
    return b',"%b":%b' % (name, bytes(raw)) if _is_string(raw) else b""
