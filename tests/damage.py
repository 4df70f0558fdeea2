"""Damage to streams, for fuzzing: bytes changed, cut out, doubled; members renamed, values replaced. The dice decide."""

from __future__ import annotations

import os
import random

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))


def examples(usual: int, a_second: int) -> int:
    """How many examples a fuzz test runs: the usual number, or what FUZZ_SECONDS gives time for."""
    return int(SECONDS * a_second) or usual


PIECES = [
    *(b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r", b"data: ", b"data:", b"event: error\n", b": c\n", b"\xef\xbb\xbf", b":"),
    *(b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\u0065", b"\\", b'"', b"\xff", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\x00"),
    *(b"null", b"{}", b"[]", b"1e5", b"-1", b"01", b"true", b",", b":", b"{", b"}", b"[", b"]", b"{" * 130, b"[" * 130, b" "),
    *(b'"error":', b'"usage":', b'"choices":5,', b'"content":null,', b'"type":"ping",', b'"index":7,', b"[DONE]"),
]
WORDS = [
    *(b'"content"', b'"index"', b'"delta"', b'"choices"', b'"id"', b'"type"', b'"tool_calls"', b'"text"', b'"error"', b'"usage"'),
    *(
        b'"reasoning"',
        b'"reasoning_content"',
        b'"thinking"',
        b'"thinking_blocks"',
        b'"signature"',
        b'"content_block"',
        b'"message"',
    ),
    *(b'"contentBlockIndex"', b'"toolUse"', b'"stopReason"', b'"reasoningContent"', b"contentBlockDelta", b"messageStop"),
    *(b'"candidates"', b'"parts"', b'"functionCall"', b'"finishReason"', b'"thought"', b'"thoughtSignature"', b'"usageMetadata"'),
    *(
        b'"output_index"',
        b'"item_id"',
        b'"sequence_number"',
        b'"item"',
        b'"response"',
        b'"summary"',
        b"response.output_text.delta",
    ),
    *(b'"finish_reason"', b'"stop_reason"', b'"function"', b'"arguments"', b'"name"', b'"refusal"', b'"annotations"', b'"audio"'),
    *(
        b'"content_block_delta"',
        b'"content_block_stop"',
        b'"text_delta"',
        b'"input_json_delta"',
        b'"thinking_delta"',
        b'"partial_json"',
    ),
    *(
        b"null",
        b"0",
        b"1",
        b'"stop"',
        b"\n\n",
        b"data: ",
        b"{}",
        b'""',
        b'"x"',
        b"[DONE]",
        b'"\\u0065rror"',
        b'"data"',
        b'"input"',
    ),
]


def damaged(stream: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        if stream:
            stream = dice.choice([_byte, _removed, _moved, _inserted, _inserted, _swapped, _swapped, _truncated])(stream, dice)
    return stream


def _place(stream: bytes, dice: random.Random) -> tuple[int, int]:
    begin = dice.randrange(len(stream))
    return begin, min(len(stream), begin + dice.randrange(1, 30))


def _byte(stream: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(stream))
    return stream[:at] + bytes([dice.randrange(256)]) + stream[at + 1 :]


def _removed(stream: bytes, dice: random.Random) -> bytes:
    begin, end = _place(stream, dice)
    return stream[:begin] + stream[end:]


def _moved(stream: bytes, dice: random.Random) -> bytes:
    """A frame or a few bytes written once more somewhere else."""
    if dice.random() < 0.5:
        frames = stream.split(b"\n\n")
        frames.insert(dice.randrange(len(frames)), dice.choice(frames))
        return b"\n\n".join(frames)
    begin, end = _place(stream, dice)
    at = dice.randrange(len(stream))
    return stream[:at] + stream[begin:end] + stream[at:]


def _inserted(stream: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(stream))
    return stream[:at] + dice.choice(PIECES) + stream[at:]


def _swapped(stream: bytes, dice: random.Random) -> bytes:
    """One occurrence of a word becomes another word."""
    old = dice.choice([word for word in WORDS if word in stream] or [stream])
    parts = stream.split(old)
    at = dice.randrange(1, len(parts)) if len(parts) > 1 else 1
    return old.join(parts[:at]) + dice.choice(WORDS) + old.join(parts[at:])


def _truncated(stream: bytes, dice: random.Random) -> bytes:
    return stream[: dice.randrange(len(stream))]
