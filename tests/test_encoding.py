"""Content codings: any cutting gives the same bytes, a bomb costs one piece, and what is broken is said to be."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from lanes import Open, every_lane, request
from raw_upstream import CHUNKED, LAST_CHUNK, Close, Sleep, chunk, head, ok, raw_upstream

from anyllm_fast.errors import InvalidRequest, TooLarge, UpstreamBroken, UpstreamError
from anyllm_fast.upstream.encoding import BrokenCoding, Decoder, UnknownCoding, decode_body, open_decoder


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate ": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "br,gzip , zstd": lambda data: zstandard.compress(gzip.compress(brotli.compress(data))),
}
TEXT = b'{"model":"m","messages":[{"role":"user","content":"' + b"All work and no play. " * 400 + b'"}]}'


def decoder_of(coding: str) -> Decoder:
    decoder = open_decoder(coding.encode())
    assert decoder is not None
    return decoder


def decode(coding: str, pieces: list[bytes], room: int = 1000) -> bytes:
    decoder = decoder_of(coding)
    out = []
    for piece in pieces:
        decoder.feed(piece)
        while decoded := decoder.take(room):
            out.append(decoded)
    decoder.finish()
    return b"".join(out)


@pytest.mark.parametrize("coding", CODINGS)
def test_every_cutting_gives_the_same_bytes(coding: str) -> None:
    packed = CODINGS[coding](TEXT)
    for size in (1, 2, 3, 7, 64, 1000, len(packed)):
        pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert decode(coding, pieces) == TEXT
    for room in (1, 10, 65536):
        assert decode(coding, [packed], room) == TEXT


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CODINGS)), st.binary(max_size=3000), st.lists(st.integers(1, 400), max_size=30))
def test_any_bytes_in_any_pieces_come_back(coding: str, data: bytes, cuts: list[int]) -> None:
    packed = CODINGS[coding](data)
    pieces = []
    for cut in cuts:
        pieces.append(packed[:cut])
        packed = packed[cut:]
    assert decode(coding, [*pieces, packed]) == data


@pytest.mark.parametrize("coding", CODINGS)
def test_data_that_ends_too_early_is_broken_at_every_byte(coding: str) -> None:
    packed = CODINGS[coding](TEXT)
    for end in range(1, len(packed)):
        with pytest.raises(BrokenCoding):
            decode(coding, [packed[:end]], 65536)


@pytest.mark.parametrize("coding", CODINGS)
def test_data_after_the_end_is_broken(coding: str) -> None:
    with pytest.raises(BrokenCoding):
        decode(coding, [CODINGS[coding](TEXT) + b"\x00tail of another kind"], 65536)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_several_members_are_one_body(coding: str) -> None:
    packed = CODINGS[coding](b"one ") + CODINGS[coding](b"") + CODINGS[coding](b"two")
    assert decode(coding, [packed]) == b"one two"
    assert decode(coding, [packed[index : index + 1] for index in range(len(packed))]) == b"one two"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_costs_a_piece_of_memory_and_not_its_size(coding: str) -> None:
    size = 400 << 20
    if coding == "br":
        deflater = brotli.Compressor(quality=1)
        block = bytes(4 << 20)
        packed = b"".join(deflater.process(block) for _ in range(size >> 22)) + deflater.finish()
    elif coding == "zstd":
        packer = zstandard.ZstdCompressor(level=3).compressobj()
        packed = b"".join(packer.compress(bytes(4 << 20)) for _ in range(size >> 22)) + packer.flush()
    else:
        zipper = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
        packed = b"".join(zipper.compress(bytes(4 << 20)) for _ in range(size >> 22)) + zipper.flush()
    assert len(packed) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="larger than 1000000 bytes"):
            decode_body(coding.encode(), packed, 1_000_000)
        decoder = decoder_of(coding)
        decoder.feed(packed)
        assert 0 < len(decoder.take(65536)) <= 4 << 20
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def test_a_large_zstd_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"x" * 100) + packer.flush()
    with pytest.raises(BrokenCoding):
        decode("zstd", [packed])


@pytest.mark.parametrize("encoding", [b"", b"identity", b" Identity , "])
def test_identity_is_nothing_to_undo(encoding: bytes) -> None:
    assert open_decoder(encoding) is None
    assert decode_body(encoding, b"{}", 2) == b"{}"
    with pytest.raises(TooLarge):
        decode_body(encoding, b"{ }", 2)


@pytest.mark.parametrize("encoding", [b"compress", b"gzip, lzma", b"\xff", b"gzip;q=1", b", ".join([b"gzip"] * 5)])
def test_an_unknown_coding_is_415_for_a_caller(encoding: bytes) -> None:
    with pytest.raises(UnknownCoding):
        open_decoder(encoding)
    with pytest.raises(InvalidRequest, match="content coding") as caught:
        decode_body(encoding, b"x", 10)
    assert caught.value.status == 415


@pytest.mark.parametrize("coding", CODINGS)
def test_a_callers_body_is_decoded_within_its_limit(coding: str) -> None:
    packed = CODINGS[coding](TEXT)
    assert decode_body(coding.upper().encode(), packed, len(TEXT)) == TEXT
    with pytest.raises(TooLarge) as large:
        decode_body(coding.encode(), packed, len(TEXT) - 1)
    assert large.value.status == 413
    for broken in (packed[:-1], b"{}" + packed, b"", b'{"model":"m"}'):
        with pytest.raises(InvalidRequest) as caught:
            decode_body(coding.encode(), broken, 1 << 20)
        assert caught.value.status == 400


# Through the seam


@pytest.mark.parametrize("coding", CODINGS)
@every_lane
async def test_an_answer_in_a_coding_nobody_asked_for_is_decoded(open_upstream: Open, coding: str) -> None:
    packed = CODINGS[coding](TEXT)
    header = b"content-encoding: " + coding.encode()
    half = len(packed) // 2
    stream = [head(b"transfer-encoding: chunked", header) + chunk(packed[:half]), Sleep(0.01), chunk(packed[half:]) + LAST_CHUNK]
    async with raw_upstream([ok(packed, header, b"x-a: 1")], stream, stream) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        assert reply.headers == [(b"x-a", b"1")]
        assert await reply.read(len(TEXT)) == TEXT
        reply = await upstream.send(request(raw.port))
        pieces = []
        while piece := await reply.chunk():
            pieces.append(piece)
        assert b"".join(pieces) == TEXT
        reply = await upstream.send(request(raw.port))
        pushed: list[bytes] = []
        ended = _future()
        reply.attach(pushed.append, ended.set_result)
        assert await ended is None
        assert b"".join(pushed) == TEXT
        assert len(raw.connections) == 1
        await upstream.close()


def _future() -> asyncio.Future[UpstreamError | None]:
    return asyncio.get_running_loop().create_future()


@every_lane
async def test_codings_in_several_headers_are_one_list(open_upstream: Open) -> None:
    packed = brotli.compress(gzip.compress(TEXT))
    async with raw_upstream([ok(packed, b"content-encoding: gzip", b"content-encoding: br")]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        assert await reply.read(1 << 20) == TEXT
        assert reply.headers == []
        await upstream.close()


@every_lane
async def test_a_cut_or_broken_coding_is_an_error_in_every_form(open_upstream: Open) -> None:
    packed = gzip.compress(TEXT)
    for broken in (packed[:-4], packed[:30] + b"?" + packed[31:]):
        answer = ok(broken, b"content-encoding: gzip")
        async with raw_upstream([answer]) as raw:
            upstream = open_upstream()
            with pytest.raises(UpstreamBroken, match="cannot be decoded"):
                await (await upstream.send(request(raw.port))).read(1 << 20)
            reply = await upstream.send(request(raw.port))
            for _ in range(2):
                with pytest.raises(UpstreamBroken, match="cannot be decoded"):
                    while await reply.chunk():
                        pass
            reply = await upstream.send(request(raw.port))
            ended = _future()
            reply.attach(lambda piece: None, ended.set_result)
            assert isinstance(await ended, UpstreamBroken)
            await upstream.close()


@every_lane
async def test_a_decoded_answer_is_bounded_in_every_form(open_upstream: Open) -> None:
    packed = gzip.compress(bytes(20 << 20))
    async with raw_upstream([CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n" + chunk(packed) + LAST_CHUNK]) as raw:
        upstream = open_upstream()
        reply = await upstream.send(request(raw.port))
        with pytest.raises(UpstreamBroken, match="larger than 100000 bytes"):
            await reply.read(100_000)
        reply = await upstream.send(request(raw.port))
        total = 0
        while piece := await reply.chunk():
            assert len(piece) <= 65536
            total += len(piece)
        assert total == 20 << 20
        reply = await upstream.send(request(raw.port))
        sizes: list[int] = []
        ended = _future()

        def take(data: bytes) -> None:
            sizes.append(len(data))
            reply.pause()

        reply.attach(take, ended.set_result)
        while not ended.done():
            before = len(sizes)
            await asyncio.sleep(0)
            assert len(sizes) <= before + 1, "one piece, then it waits to be resumed"
            reply.resume()
        assert sum(sizes) == 20 << 20
        await upstream.close()


@every_lane
async def test_an_empty_answer_has_nothing_to_decode(open_upstream: Open) -> None:
    async with raw_upstream([ok(b"", b"content-encoding: gzip")], [head(b"content-encoding: gzip") + b"", Close()]) as raw:
        upstream = open_upstream()
        for _ in range(2):
            assert await (await upstream.send(request(raw.port))).read(9) == b""
        await upstream.close()
