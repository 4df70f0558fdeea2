"""The legacy text completions endpoint as Chat in other clothes: its body, its reply and its stream. Knows no framing but SSE's.

Source: openai.types.CompletionCreateParams and Completion. A prompt becomes one user message; what Chat has no word for is
announced. One prompt, one choice: lists of prompts, token arrays and `best_of` are refused with their path.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.losses import ROOT, Losses
from anyllm_fast.neutral.members import NULL, encode, is_string, open_array, open_body, take, take_count, wrong

_KEPT: Final = (
    *(
        "model",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "user",
    ),
    *("logit_bias", "top_k", "metadata", "n", "safety_identifier"),
)
_IDLE: Final[dict[str, tuple[bytes, ...]]] = {
    "best_of": (b"1",),
    "echo": (b"false",),
    "logprobs": (b"null",),
    "suffix": (b'""',),
}


def read_request(body: bytes, losses: Losses) -> bytes:
    """The Chat body that asks the same. Raises InvalidRequest."""
    members = open_body(body)
    out: dict[str, Any] = {name: members.pop(name) for name in _KEPT if name in members}
    out["messages"] = [{"role": "user", "content": _prompt(members)}]
    limit = take_count(members, "max_tokens", ROOT)
    out["max_tokens"] = Raw(b"16") if limit is None else limit  # the endpoint's documented default
    for name, raw in members.items():
        if raw != NULL and bytes(raw) not in _IDLE.get(name, ()):
            if name == "best_of":
                raise InvalidRequest("only one answer can be asked for", where=name)
            losses.add((ROOT, name), "not known to Chat Completions")
    return encode(out)


def _prompt(members: dict[str, Raw]) -> Raw:
    raw = take(members, "prompt")
    if raw is not None and bytes(raw)[:1] == b"[":
        items = open_array(raw, (ROOT, "prompt"))
        if len(items) != 1:
            raise InvalidRequest("expected one prompt", where="prompt")
        raw = items[0]
    if raw is None or not is_string(raw):
        raise wrong(raw, "a string", (ROOT, "prompt"))
    return raw


class _Message(msgspec.Struct, frozen=True):
    content: Raw = NULL


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Message = _Message()
    delta: _Message = _Message()
    finish_reason: Raw = NULL


class _Chat(msgspec.Struct):
    id: str = ""
    created: int = 0
    model: Raw = Raw(b'""')
    choices: list[_Choice] = []
    usage: Raw = NULL
    error: Raw = NULL


_decode = msgspec.json.Decoder(_Chat).decode


def write_reply(body: bytes) -> bytes:
    """A Chat reply as a text completion."""
    chat = _decode(body)
    choices = [_choice(choice, choice.message.content) for choice in chat.choices]
    out = _head(chat) | {"choices": choices}
    return encode(out if chat.usage == NULL else out | {"usage": chat.usage})


class ChatToCompletion:
    """A Framing: Chat chunks to completion chunks. Whole frames come in; comments and errors pass as they are."""

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(_frame(frame) for frame in chunk.split(b"\n\n") if frame)

    def finish(self) -> bytes:
        return b""


def _frame(frame: bytes) -> bytes:
    data = frame.removeprefix(b"data: ")
    if data is frame or data == b"[DONE]":
        return frame + b"\n\n"
    try:
        chat = _decode(data)
    except msgspec.MsgspecError:
        return frame + b"\n\n"
    if chat.error != NULL:
        return frame + b"\n\n"
    choices = [_choice(choice, choice.delta.content) for choice in chat.choices if _tells(choice)]
    if chat.usage == NULL and not choices:
        return b""
    out = _head(chat) | {"choices": choices}
    return b"data: %b\n\n" % encode(out if chat.usage == NULL else out | {"usage": chat.usage})


def _tells(choice: _Choice) -> bool:
    return choice.finish_reason != NULL or bytes(choice.delta.content) not in (b"null", b'""')


def _head(chat: _Chat) -> dict[str, Any]:
    ident = "cmpl-" + chat.id.removeprefix("chatcmpl-")
    return {"id": ident, "object": "text_completion", "created": chat.created, "model": chat.model}


def _choice(choice: _Choice, content: Raw) -> dict[str, Any]:
    text = Raw(b'""') if content == NULL else content
    return {"text": text, "index": choice.index, "logprobs": None, "finish_reason": choice.finish_reason}
