"""anyllm_fast/tokens.py, token_counter.py and media_size.py: counts of bodies, without a download and without a stall."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyllm_fast import token_counter, tokens
from anyllm_fast.errors import Internal, InvalidRequest, RateLimited
from anyllm_fast.media_size import picture_size
from anyllm_fast.token_counter import (
    DATA,
    PAGE_TOKENS,
    PER_MESSAGE,
    PER_REQUEST,
    PICTURE_UNKNOWN,
    SHA256,
    Unreadable,
    count,
    encoding,
    picture_tokens,
    pieces,
)

EMPTY = PER_REQUEST + PER_MESSAGE


def counted(content: Any, **members: Any) -> int:
    """Tokens of one user message with `content`, beyond those of an empty one."""
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **members}
    return count("anthropic", json.dumps(body).encode()) - EMPTY


def chat(content: Any, **members: Any) -> int:
    body = {"messages": [{"role": "user", "content": content, **members.pop("message", {})}], **members}
    return count("openai_chat", json.dumps(body).encode()) - EMPTY


# -- the vocabulary ----------------------------------------------------------------------------------------------------


def test_the_shipped_vocabulary_is_o200k_base() -> None:
    assert hashlib.sha256(DATA.read_bytes()).hexdigest() == SHA256


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("hello world", [24912, 2375]),
        ("It's 12345 tokens.", [15834, 220, 7633, 2548, 20290, 13]),
        ("<|endoftext|>", None),
    ],
)
def test_text_is_cut_as_the_vocabulary_demands(text: str, ids: list[int] | None) -> None:
    found = encoding().encode_ordinary(text)
    assert encoding().decode(found) == text
    assert ids is None or found == ids


def test_a_special_token_in_a_text_is_text() -> None:
    assert counted("<|endoftext|>") > 1


# -- what is counted ---------------------------------------------------------------------------------------------------


def test_only_messages_are_required() -> None:
    assert count("anthropic", b'{"messages":[]}') == PER_REQUEST
    assert count("openai_chat", b'{"messages":[]}') == PER_REQUEST


@pytest.mark.parametrize(
    ("body", "where"),
    [(b"", ""), (b"{", ""), (b"[]", "body"), (b"{}", "messages"), (b'{"messages":"x"}', "messages"), (b"[" * 99999, "")],
)
def test_a_body_without_messages_is_unreadable_and_says_where(body: bytes, where: str) -> None:
    with pytest.raises(Unreadable) as caught:
        count("anthropic", body)
    assert caught.value.where == where


def test_every_text_of_a_conversation_counts() -> None:
    words = "one two three"
    plain = counted(words)
    assert counted([{"type": "text", "text": words}]) == plain
    assert counted("", system=words) == plain
    assert counted("", system=[{"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}]) == plain
    assert counted([{"type": "thinking", "thinking": words, "signature": "x" * 500}]) == plain
    assert counted([{"type": "tool_result", "tool_use_id": "t", "content": words}]) == plain + PER_MESSAGE
    assert counted([{"type": "tool_result", "content": [{"type": "text", "text": words}]}]) == plain + PER_MESSAGE
    assert counted([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}}]) == plain
    assert counted([{"type": "document", "source": {"type": "content", "content": words}}]) == plain
    assert counted([{"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": words}]}]) > plain
    assert chat(words) == chat([{"type": "text", "text": words}]) == chat("", message={"refusal": words}) == plain


def test_calls_tools_and_schemas_count() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    call = {"type": "tool_use", "id": "t", "name": "get_weather", "input": {"city": "Zürich"}}
    assert counted([call]) > counted([{**call, "input": {}}]) > PER_MESSAGE
    tool = {"name": "get_weather", "description": "the weather", "input_schema": schema}
    assert counted("", tools=[tool]) > counted("", tools=[{**tool, "description": ""}]) > counted("")
    function = {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}
    assert chat("", tools=[function, {"type": "custom", "custom": {"name": "c"}}]) > chat("", tools=[function]) > 0
    called = {
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"a":1}'}}],
        "name": "n",
        "reasoning_content": "r",
    }
    assert chat(None, message=called) > PER_MESSAGE
    assert chat("", response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}) > 0


def test_shapes_that_are_not_ours_to_judge_are_counted_as_they_can_be() -> None:
    odd: list[Any] = [
        5,
        None,
        "x",
        {"type": None},
        {"type": "image"},
        {"type": "document"},
        {"type": "tool_result", "content": 5},
    ]
    assert counted(odd) > PICTURE_UNKNOWN
    assert count("anthropic", b'{"messages":[5,null,{"content":5}],"tools":[1],"system":{}}') > 0
    assert count("openai_chat", b'{"messages":[5,{"content":[1,{"type":"image_url"}],"tool_calls":[1]}],"tools":["x",{}]}') > 0


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_a_count_is_the_encoders_count(text: str) -> None:
    assert counted(text) == len(encoding().encode_ordinary(text))


# -- long texts --------------------------------------------------------------------------------------------------------


@given(st.text("ab \n", max_size=300))
def test_a_text_is_its_pieces(text: str) -> None:
    short = token_counter.PIECE
    try:
        token_counter.PIECE = 50  # type: ignore[misc]  # a test's piece
        parts = list(pieces(text))
    finally:
        token_counter.PIECE = short  # type: ignore[misc]
    assert "".join(parts) == text
    assert all(0 < len(part) <= 50 for part in parts)


@pytest.mark.parametrize("run", [" ", "\n", "a", "^", "é", "\u3042", "a "])
def test_a_million_characters_of_one_kind_are_counted(run: str) -> None:
    text = run * (1_000_000 // len(run))
    assert 1000 < counted(text) <= len(text)


def test_what_is_beyond_the_bound_is_taken_to_be_like_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counter, "MOST", 20_000)
    whole = counted("word " * 100_000)
    assert whole == pytest.approx(100_000, rel=0.01)


# -- pictures and documents --------------------------------------------------------------------------------------------


def png(width: int, height: int) -> str:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(head))
    ).decode()


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
    + b"\x00" * 9
    + b"\xff\xff\xc4\x00\x05abc\xff\xc2\x00\x11\x08"
    + struct.pack(">HH", 480, 640)
    + b"\x03" * 9
)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(640, 480), (640, 480)),
        (base64.b64encode(JPEG).decode(), (640, 480)),
        (base64.b64encode(b"GIF89a" + struct.pack("<HH", 640, 480) + b"\x00" * 9).decode(), (640, 480)),
        (base64.b64encode(b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\x7f\x02\0\xdf\x01\0").decode(), (640, 480)),
        (
            base64.b64encode(b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (639 | 479 << 14).to_bytes(4, "little") + b"\0" * 9).decode(),
            (640, 480),
        ),
        (base64.b64encode(b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 640, 480)).decode(), (640, 480)),
        ("", None),
        ("????", None),
        ("é", None),
        (base64.b64encode(b"\xff\xd8\xff").decode(), None),
        (base64.b64encode(b"\xff\xd8" + b"\xff" * 90).decode(), None),
        (base64.b64encode(b"BM" + b"\0" * 90).decode(), None),
    ],
    ids=range(12),
)
def test_the_size_of_a_picture_is_read_from_its_head(data: str, size: tuple[int, int] | None) -> None:
    assert picture_size(data) == size


@given(st.binary(max_size=64).map(lambda head: base64.b64encode(b"\xff\xd8" + head).decode()))
def test_no_head_is_too_odd(data: str) -> None:
    picture_size(data)


@pytest.mark.parametrize(
    ("width", "height", "tokens_"),
    [(200, 200, 53), (1092, 1092, 1589), (8000, 8000, 1600), (4000, 400, 327), (0, 0, 1), (1, 1, 1)],
)
def test_pictures_count_by_their_area_after_scaling(width: int, height: int, tokens_: int) -> None:
    assert picture_tokens(png(width, height)) == tokens_
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png(width, height)}}
    assert counted([block]) == tokens_
    assert chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + png(width, height)}}]) == tokens_


def test_pictures_and_documents_by_address_have_a_fixed_price() -> None:
    assert counted([{"type": "image", "source": {"type": "url", "url": "http://a"}}]) == PICTURE_UNKNOWN
    assert counted([{"type": "document", "source": {"type": "url", "url": "http://a"}}]) == PAGE_TOKENS
    assert chat([{"type": "file", "file": {"file_id": "f"}}]) == PAGE_TOKENS


def test_documents_count_by_their_size() -> None:
    block = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 400_000}}
    assert counted([block]) == 6 * PAGE_TOKENS


# -- the process -------------------------------------------------------------------------------------------------------

HELLO = b'{"messages":[{"role":"user","content":"hello world"}]}'


@pytest.fixture
def counter() -> Any:
    made = tokens.Counter()
    yield made
    made.close()


async def test_a_count_comes_from_the_process_and_is_the_same(counter: tokens.Counter) -> None:
    assert await counter.count(HELLO, "anthropic") == count("anthropic", HELLO)
    assert await counter.count(HELLO, "openai_chat") == count("openai_chat", HELLO)


async def test_many_at_once_are_all_counted(counter: tokens.Counter) -> None:
    bodies = [json.dumps({"messages": [{"content": "word " * n}]}).encode() for n in range(25)]
    assert await asyncio.gather(*(counter.count(body, "anthropic") for body in bodies)) == [count("anthropic", b) for b in bodies]


async def test_the_loop_does_not_stall_while_the_vocabulary_is_loaded(counter: tokens.Counter) -> None:
    counting = asyncio.ensure_future(counter.count(HELLO, "anthropic"))
    turns = 0
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    assert await counting > 0
    assert turns > 100


async def test_a_body_that_cannot_be_counted_is_the_callers_fault(counter: tokens.Counter) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await counter.count(b'{"messages":5}', "anthropic")
    assert caught.value.where == "messages"
    assert await counter.count(HELLO, "anthropic") > 0


async def test_a_process_that_died_is_replaced_unnoticed(counter: tokens.Counter) -> None:
    first = await counter.count(HELLO, "anthropic")
    assert counter._process is not None
    counter._process.kill()
    counter._process.wait()
    assert await counter.count(HELLO, "anthropic") == first


async def test_a_count_that_takes_too_long_is_given_up(counter: tokens.Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TIMEOUT", 0.001)
    with pytest.raises(Internal):
        await counter.count(HELLO, "anthropic")
    monkeypatch.setattr(tokens, "TIMEOUT", 20.0)
    assert await counter.count(HELLO, "anthropic") > 0


async def test_more_than_can_wait_are_turned_away(counter: tokens.Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_WAITING", 2)
    results = await asyncio.gather(*(counter.count(HELLO, "anthropic") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, RateLimited) for result in results) == 2


async def test_the_process_knows_none_of_our_secrets(counter: tokens.Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    await counter.count(HELLO, "anthropic")
    assert counter._process is not None
    environ = Path(f"/proc/{counter._process.pid}/environ")
    if not await asyncio.to_thread(environ.exists):
        pytest.skip("no /proc here")
    assert b"sk-secret" not in await asyncio.to_thread(environ.read_bytes)


async def test_the_process_ends_when_we_do(counter: tokens.Counter) -> None:
    await counter.count(HELLO, "anthropic")
    process = counter._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.to_thread(process.wait, 10) == 0
