"""A chunk of a Gemini stream as its members. What is absent, null or of a wrong type is all the same. Calls no Sink.

Read with one typed decode that knows every member which is read or may be left out in silence. A chunk with any other member,
with snake_case names or with values of other types is first made tidy: rewritten to what the typed decode takes, and what is left
over is named, so that it can be announced. Both twins read the same tidy bytes.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.gemini_spelling import camel
from anyllm_fast.dialects.repair import ABSENT, is_object, number, objects, read_frame, string
from anyllm_fast.neutral.usage import Usage

Lost = list[tuple[bytes, bytes]]
"""(dotted name, raw value) of members that nobody reads."""


class Part(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    text: Raw = ABSENT
    thought: Raw = ABSENT
    thought_signature: Raw = ABSENT
    function_call: Raw = ABSENT
    inline_data: Raw = ABSENT
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT


class Content(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    parts: list[Part] | None = None
    role: Raw = ABSENT


class Candidate(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    content: Content | None = None
    finish_reason: Raw = ABSENT
    index: Raw = ABSENT
    safety_ratings: Raw = ABSENT
    grounding_metadata: Raw = ABSENT
    citation_metadata: Raw = ABSENT
    logprobs_result: Raw = ABSENT
    avg_logprobs: Raw = ABSENT  # follows from the others
    token_count: Raw = ABSENT  # usageMetadata says it


class Chunk(msgspec.Struct, gc=False, rename="camel", forbid_unknown_fields=True):
    candidates: list[Candidate] | None = None
    usage_metadata: Raw = ABSENT
    prompt_feedback: Raw = ABSENT
    model_version: Raw = ABSENT
    response_id: Raw = ABSENT
    create_time: Raw = ABSENT
    error: Raw = ABSENT


_decode = msgspec.json.Decoder(Chunk).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode

CHUNK: Final = tuple(field.encode_name for field in msgspec.structs.fields(Chunk))
CANDIDATE: Final = tuple(field.encode_name for field in msgspec.structs.fields(Candidate))
CONTENT: Final = tuple(field.encode_name for field in msgspec.structs.fields(Content))
PART: Final = tuple(field.encode_name for field in msgspec.structs.fields(Part))
"""What is known at each level, on the wire: the native twin makes its tables of them."""

_SILENT: Final = (b"null", b"{}", b"[]", b'""', b"false", b"0")
_LONGEST_NAME: Final = 100


def read_chunk(data: bytes) -> tuple[Chunk, Lost, bytes]:
    """The chunk, what nobody reads of it, and its bytes as they came (mended, where that was needed). Raises Malformed."""
    (chunk, lost), data = read_frame(data, _tight, _loose)
    return chunk, lost, data


def _tight(data: bytes) -> tuple[Chunk, Lost]:
    return _decode(data), []


def _loose(data: bytes) -> tuple[Chunk, Lost]:
    tidied, lost = tidy(data)
    return _decode(tidied), lost


def tidy(data: bytes) -> tuple[bytes, Lost]:
    """The chunk with nothing but known members, by their camelCase names, and what else it had.

    ValidationError if it is no object.
    """
    lost: Lost = []
    chunk = _known(_decode_members(data), CHUNK, "", lost)
    candidates = [_candidate(raw, lost) for raw in objects(chunk.pop("candidates", ABSENT))]
    body: dict[str, object] = {**chunk}
    if candidates:
        body["candidates"] = candidates
    return _encode(body), lost


def _candidate(raw: Raw, lost: Lost) -> dict[str, object]:
    members = _decode_members(raw)
    if number(members.get("index", ABSENT)) > 0:
        lost = []  # the candidate itself is announced
    members = _known(members, CANDIDATE, "candidates.", lost)
    content = members.pop("content", ABSENT)
    body: dict[str, object] = {**members}
    if is_object(content):
        inner = _known(_decode_members(content), CONTENT, "candidates.content.", lost)
        parts = objects(inner.pop("parts", ABSENT))
        where = "candidates.content.parts."
        body["content"] = {**inner, "parts": [_known(_decode_members(part), PART, where, lost) for part in parts]}
    return body


def _known(members: dict[str, Raw], names: tuple[str, ...], where: str, lost: Lost) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for name, raw in members.items():
        known = camel(name)
        if known in names:
            found[known] = raw
        elif bytes(raw) not in _SILENT:
            lost.append(((where + known)[:_LONGEST_NAME].encode(), bytes(raw)))
    return found


def members_of(raw: Raw | bytes) -> dict[str, Raw]:
    """The members of a sound object by their camelCase names; {} for anything else."""
    if bytes(raw)[:1] != b"{":
        return {}
    return {camel(name): value for name, value in _decode_members(raw).items()}


# -- counts ------------------------------------------------------------------------------------------------------------


class Tokens(msgspec.Struct):
    """What usageMetadata has said so far. -1 where it did not."""

    prompt: int = -1  # contains cached
    cached: int = -1
    candidates: int = -1  # without thoughts
    thoughts: int = -1
    tools: int = -1  # on top of prompt
    audio_in: int = -1
    audio_out: int = -1

    @property
    def usage(self) -> Usage:
        """In the middle's convention: what was cached is not in `input`, results of tools are, and thoughts are in `output`."""
        return Usage(
            input=max(self.prompt - max(self.cached, 0), 0) + max(self.tools, 0) if self.prompt >= 0 else -1,
            output=max(self.candidates, 0) + max(self.thoughts, 0) if max(self.candidates, self.thoughts) >= 0 else -1,
            cache_read=self.cached,
            reasoning=self.thoughts,
            audio_input=self.audio_in,
            audio_output=self.audio_out,
            tool_prompt=self.tools,
        )


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: Raw = ABSENT
    cached_content_token_count: Raw = ABSENT
    candidates_token_count: Raw = ABSENT
    thoughts_token_count: Raw = ABSENT
    tool_use_prompt_token_count: Raw = ABSENT
    prompt_tokens_details: Raw = ABSENT
    candidates_tokens_details: Raw = ABSENT


class _SnakeUsage(msgspec.Struct):
    prompt_token_count: Raw = ABSENT
    cached_content_token_count: Raw = ABSENT
    candidates_token_count: Raw = ABSENT
    thoughts_token_count: Raw = ABSENT
    tool_use_prompt_token_count: Raw = ABSENT
    prompt_tokens_details: Raw = ABSENT
    candidates_tokens_details: Raw = ABSENT


class _Detail(msgspec.Struct):
    modality: Raw = ABSENT
    tokenCount: Raw = ABSENT  # noqa: N815 - both spellings
    token_count: Raw = ABSENT


_decode_usage = msgspec.json.Decoder(_Usage).decode
_decode_snake_usage = msgspec.json.Decoder(_SnakeUsage).decode
_decode_detail = msgspec.json.Decoder(_Detail).decode


def count(raw: Raw, tokens: Tokens) -> None:
    """Takes over what a usageMetadata says. Counts are cumulative: a 0 where there was more says nothing."""
    usage: _Usage | _SnakeUsage = _decode_usage(raw)
    if b"_token" in bytes(raw):
        usage = _decode_snake_usage(raw)
    given = {
        "prompt": number(usage.prompt_token_count),
        "cached": number(usage.cached_content_token_count),
        "candidates": number(usage.candidates_token_count),
        "thoughts": number(usage.thoughts_token_count),
        "tools": number(usage.tool_use_prompt_token_count),
        "audio_in": _audio(usage.prompt_tokens_details),
        "audio_out": _audio(usage.candidates_tokens_details),
    }
    for name, n in given.items():
        if n > 0 or (n == 0 and getattr(tokens, name) < 0):
            setattr(tokens, name, n)


def _audio(details: Raw) -> int:
    if details is ABSENT:
        return -1
    for raw in objects(details):
        detail = _decode_detail(raw)
        if string(detail.modality) == b"AUDIO":
            return number(detail.token_count if detail.tokenCount is ABSENT else detail.tokenCount)
    return -1
