"""How many tokens a request body is, approximately: o200k_base for text, rules of thumb for the rest. Opens no socket.

Run as a program (`python -m anyllm_fast.token_counter`) it is the counting process that tokens.py starts: length-prefixed
bodies on standard input, one JSON line each on standard output, until the input ends. A process of its own, because building
the encoder holds the GIL for 0.3 s and takes 75 MB, because a hostile text can make a regular expression overflow its stack
(seen with a million spaces), and because a process can be stopped when a count takes too long.

What is counted: every text in its own right, tool names, descriptions and schemas, arguments, and a few tokens for each message,
block and tool. Pictures by Anthropic's area rule where their size can be read, documents by their pages or size. The count of the
model that will be asked differs by some percent, more for scripts other than Latin.
"""

from __future__ import annotations

import base64
import os
import select
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import tiktoken

from anyllm_fast.media_size import picture_size

Shape = Literal["anthropic", "openai_chat"]

DATA: Final = Path(__file__).parent / "data" / "o200k_base.tiktoken"
SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
IDLE_SECONDS: Final = 600

PER_REQUEST: Final = 3
PER_MESSAGE: Final = 4
PER_TOOL: Final = 8
PICTURE_UNKNOWN: Final = 1600  # Anthropic's most for one picture
PIXELS_PER_TOKEN: Final = 750
PICTURE_EDGE: Final = 1568  # larger pictures are scaled down to this
PAGE_TOKENS: Final = 2250  # Anthropic: 1,500 to 3,000 a page
BYTES_PER_PAGE: Final = 50_000
PIECE: Final = 20_000
"""Characters that are encoded at once. Longer ones are cut at white space, or anywhere: that costs a token, not a minute."""
MOST: Final = 4_000_000
"""Characters that are encoded at all; what is beyond is taken to be like what was before."""


class Unreadable(ValueError):
    """The body has no messages to count, or is no JSON. `where` is the path."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


def count(shape: Shape, body: bytes) -> int:
    """Tokens of the prompt in a request body. Only `messages` is required. Raises Unreadable."""
    request = _decode(body)
    tally = Tally()
    _SHAPES[shape](request, tally)
    return tally.total()


def _decode(body: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the body cannot be decoded: {error}") from None
    if not isinstance(request, dict):
        raise Unreadable("expected an object", "body")
    if not isinstance(request.get("messages"), list):
        raise Unreadable("required, as an array", "messages")
    return request


class Tally:
    """Texts to be encoded, and tokens that are known without."""

    def __init__(self) -> None:
        self.known = PER_REQUEST
        self.texts: list[str] = []

    def text(self, value: Any) -> None:
        """A string as it is; anything else that is something as the JSON that the model would see."""
        if isinstance(value, str):
            self.texts.append(value)
        elif value is not None:
            self.texts.append(msgspec.json.encode(value).decode())

    def total(self) -> int:
        tokens, seen, unseen = 0, 0, 0
        encode = encoding().encode_ordinary
        for text in self.texts:
            for piece in pieces(text):
                if seen < MOST:
                    seen += len(piece)
                    tokens += len(encode(piece))
                else:
                    unseen += len(piece)
        return self.known + tokens + (unseen * tokens // seen if seen else 0)


def pieces(text: str) -> Iterator[str]:
    """`text` in parts of at most PIECE characters, cut before white space where there is some in the last tenth."""
    start = 0
    while len(text) - start > PIECE:
        end = start + PIECE
        cut = max(text.rfind(" ", end - PIECE // 10, end), text.rfind("\n", end - PIECE // 10, end))
        end = cut if cut > start else end
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


# -- Anthropic Messages ------------------------------------------------------------------------------------------------


def _anthropic(request: dict[str, Any], tally: Tally) -> None:
    _content(request.get("system"), tally)
    for message in request["messages"]:
        tally.known += PER_MESSAGE
        if isinstance(message, dict):
            _content(message.get("content"), tally)
    for tool in _list(request.get("tools")):
        tally.known += PER_TOOL
        if isinstance(tool, dict):
            tally.text(tool.get("name"))
            tally.text(tool.get("description"))
            tally.text(tool.get("input_schema") or {k: v for k, v in tool.items() if k not in _TOOL_MARKS})
    config = request.get("output_config")
    if isinstance(config, dict) and isinstance(config.get("format"), dict):
        tally.text(config["format"].get("schema"))


_TOOL_MARKS = frozenset({"name", "description", "cache_control", "defer_loading", "type"})


def _content(content: Any, tally: Tally) -> None:
    if isinstance(content, str):
        tally.text(content)
    for block in _list(content):
        if isinstance(block, dict):
            _BLOCKS.get(str(block.get("type")), _other)(block, tally)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(block: dict[str, Any], tally: Tally) -> None:
    tally.text(block.get("text"))


def _thinking(block: dict[str, Any], tally: Tally) -> None:
    tally.text(block.get("thinking"))


def _tool_use(block: dict[str, Any], tally: Tally) -> None:
    tally.known += PER_MESSAGE
    tally.text(block.get("name"))
    tally.text(block.get("input"))


def _tool_result(block: dict[str, Any], tally: Tally) -> None:
    tally.known += PER_MESSAGE
    _content(block.get("content"), tally)


def _redacted(block: dict[str, Any], tally: Tally) -> None:
    tally.known += len(str(block.get("data") or "")) // 4


def _image(block: dict[str, Any], tally: Tally) -> None:
    source = block.get("source")
    data = source.get("data") if isinstance(source, dict) else None
    tally.known += picture_tokens(data if isinstance(data, str) else "")


def _document(block: dict[str, Any], tally: Tally) -> None:
    tally.text(block.get("title"))
    tally.text(block.get("context"))
    source = block.get("source")
    match source:
        case {"type": "text", "data": str(data)}:
            tally.text(data)
        case {"type": "content", "content": content}:
            _content(content, tally)
        case {"data": str(data)}:
            tally.known += document_tokens(data)
        case _:
            tally.known += PAGE_TOKENS


def _other(block: dict[str, Any], tally: Tally) -> None:
    """A block of a kind that is not ours to know: the JSON of it, without what is never shown to a model."""
    tally.text({name: value for name, value in block.items() if name not in _NOT_SHOWN})


_NOT_SHOWN = frozenset({"type", "cache_control", "encrypted_content", "encrypted_index", "signature"})
_BLOCKS: dict[str, Callable[[dict[str, Any], Tally], None]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "server_tool_use": _tool_use,
    "tool_result": _tool_result,
    "image": _image,
    "document": _document,
}


# -- OpenAI Chat Completions -------------------------------------------------------------------------------------------


def _chat(request: dict[str, Any], tally: Tally) -> None:
    for message in request["messages"]:
        tally.known += PER_MESSAGE
        if isinstance(message, dict):
            _chat_message(message, tally)
    for tool in [*_list(request.get("tools")), *_list(request.get("functions"))]:
        tally.known += PER_TOOL
        if isinstance(tool, dict):
            function = tool.get("function") or tool.get("custom") or tool
            tally.text(function if isinstance(function, str) else {k: v for k, v in function.items() if k != "strict"})
    form = request.get("response_format")
    if isinstance(form, dict):
        tally.text(form.get("json_schema"))


def _chat_message(message: dict[str, Any], tally: Tally) -> None:
    tally.text(message.get("name"))
    tally.text(message.get("refusal"))
    tally.text(message.get("reasoning_content"))
    content = message.get("content")
    if isinstance(content, str):
        tally.text(content)
    for part in _list(content):
        if isinstance(part, dict):
            _chat_part(part, tally)
    for call in _list(message.get("tool_calls")):
        tally.known += PER_MESSAGE
        if isinstance(call, dict):
            tally.text(call.get("function") or call.get("custom"))
    tally.text(message.get("function_call"))


def _chat_part(part: dict[str, Any], tally: Tally) -> None:
    match part:
        case {"image_url": {"url": str(url)}}:
            tally.known += picture_tokens(url.partition("base64,")[2])
        case {"file": {"file_data": str(data)}}:
            tally.known += document_tokens(data.partition("base64,")[2])
        case {"file": _}:
            tally.known += PAGE_TOKENS
        case {"input_audio": {"data": str(data)}}:
            tally.known += len(data) * 3 // 4 // 3200  # 16 kHz, 16 bit: OpenAI counts ten tokens a second
        case {"text": text}:
            tally.text(text)
        case {"refusal": text}:
            tally.text(text)


_SHAPES: dict[Shape, Callable[[dict[str, Any], Tally], None]] = {"anthropic": _anthropic, "openai_chat": _chat}


# -- pictures and documents --------------------------------------------------------------------------------------------


def picture_tokens(data: str) -> int:
    """Anthropic's rule: area after scaling the longer edge to 1568 pixels, by 750. `data` is base64."""
    size = picture_size(data)
    if size is None:
        return PICTURE_UNKNOWN
    width, height = size
    scale = min(1.0, PICTURE_EDGE / max(width, height, 1))
    return min(max(int(width * scale * height * scale) // PIXELS_PER_TOKEN, 1), PICTURE_UNKNOWN)


def document_tokens(data: str) -> int:
    """By the size of the file: most pages are compressed, so they cannot be counted without a PDF library."""
    return PAGE_TOKENS * max(len(data) * 3 // 4 // BYTES_PER_PAGE, 1)


# -- the encoder -------------------------------------------------------------------------------------------------------

_LETTERS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_SMALL = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN: Final = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_LETTERS}*{_SMALL}+{_ENDING}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_LETTERS}+{_SMALL}*{_ENDING}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
"""How o200k_base cuts text before it merges: part of the vocabulary's definition, as its special tokens are."""
SPECIAL: Final = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}


@cache
def encoding() -> tiktoken.Encoding:
    """o200k_base from the file that we ship: nothing is downloaded and nothing is written."""
    ranks = {}
    with DATA.open("rb") as lines:
        for line in lines:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL)


# -- the process -------------------------------------------------------------------------------------------------------


def main() -> None:
    """Answers until the input ends or nobody has asked for IDLE_SECONDS. Frame: shape byte, 4 bytes of length, body."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's; we end when it closes our input
    while _asked():
        head = _exactly(5)
        if head is None:
            return
        body = _exactly(int.from_bytes(head[1:], "big"))
        if body is None:
            return
        os.write(1, _reply("anthropic" if head[:1] == b"a" else "openai_chat", body) + b"\n")


def _reply(shape: Shape, body: bytes) -> bytes:
    try:
        return b'{"count":%d}' % count(shape, body)
    except Unreadable as error:
        return msgspec.json.encode({"message": str(error), "where": error.where})


def _asked() -> bool:
    return sys.platform == "win32" or bool(select.select([0], [], [], IDLE_SECONDS)[0])


def _exactly(size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(0, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    main()
