"""How each dialect is spoken in the matrix: a question written, heard upstream, and an SDK's object read back into its meaning.

One `Speech` for each vendor of `judges.SDKS`; those of the newer dialects are in files of their own. Knows no feature.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripted.asked import Asked, Turn, Verbatim, read_chat, read_messages, write_chat, write_messages


@dataclass(frozen=True)
class Meaning:
    """A reply as a dialect's client understands it. `stop` is in the words of that dialect."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str], ...] = ()  # (name, canonical arguments)
    stop: str | None = None
    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    refusal: str = ""


@dataclass(frozen=True)
class Speech:
    """`stops`: kind of ending (scripted.answer.Answer.ending) -> word in the SDK's object. `input_is_all`: its count of input
    tokens includes what was read from and written to a cache. `models` upstream: one that does not reason, one that does.

    `raises`: an error class as the cells name it -> the one that this SDK has for it. `statuses`: an HTTP status -> the one that
    a client of this dialect sees in its place, where the upstream is of another. `counts_written`: its usage says what was
    written to a cache. `shows`: whether a request body asks an upstream of this dialect to show its reasoning. `reasoned`: the
    count of reasoning tokens in an SDK's object, 0 where it says none. `sayable`: a question as far as this dialect can say it.
    """

    write: Callable[[Asked, str], dict[str, Any]]
    hear: Callable[[Mapping[str, Any]], Asked]
    read: Callable[[Mapping[str, Any]], Meaning]
    replay: Callable[[Mapping[str, Any]], Turn]
    call_ids: Callable[[Mapping[str, Any]], list[str]]
    stops: Mapping[str, str]
    input_is_all: bool
    models: tuple[str, str]
    raises: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[int, int] = field(default_factory=dict)
    counts_written: bool = True
    shows: Callable[[Mapping[str, Any]], bool] = lambda body: True
    reasoned: Callable[[Mapping[str, Any]], int] = lambda final: 0
    sayable: Callable[[Asked], Asked] = lambda asked: asked


def canonical(arguments: Any) -> str:
    """Arguments as JSON with their keys in the order they came: a reordering is a change."""
    return json.dumps(arguments, ensure_ascii=False) if not isinstance(arguments, str) else arguments


# -- Anthropic Messages and OpenAI Chat Completions --------------------------------------------------------------------


def read_message(final: Mapping[str, Any]) -> Meaning:
    content = final["content"]
    usage = final["usage"]
    return Meaning(
        text="".join(b["text"] for b in content if b["type"] == "text"),
        thinking="".join(b["thinking"] for b in content if b["type"] == "thinking"),
        calls=tuple((b["name"], canonical(b["input"])) for b in content if b["type"] == "tool_use"),
        stop=final["stop_reason"],
        input=usage.get("input_tokens") or 0,
        cached=usage.get("cache_read_input_tokens") or 0,
        written=usage.get("cache_creation_input_tokens") or 0,
        output=usage.get("output_tokens") or 0,
    )


def read_completion(final: Mapping[str, Any]) -> Meaning:
    choice = final["choices"][0]
    message = choice["message"]
    usage = final.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    calls = [c["function"] for c in message.get("tool_calls") or ()]
    return Meaning(
        text=message.get("content") or "",
        thinking=message.get("reasoning_content") or message.get("reasoning") or "",
        calls=tuple((c["name"], canonical(json.loads(c["arguments"] or "{}"))) for c in calls),
        stop=choice["finish_reason"],
        input=usage.get("prompt_tokens") or 0,
        cached=details.get("cached_tokens") or 0,
        written=details.get("cache_write_tokens") or 0,
        output=usage.get("completion_tokens") or 0,
        refusal=message.get("refusal") or "",
    )


def _replay_message(final: Mapping[str, Any]) -> Turn:
    return Turn("assistant", (Verbatim({"role": "assistant", "content": _unparsed(final["content"])}),))


def _replay_completion(final: Mapping[str, Any]) -> Turn:
    return Turn("assistant", (Verbatim(_unaccumulated(final["choices"][0]["message"])),))


def _unparsed(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Content blocks as a request takes them: without what the SDK added for its reader."""
    return [{k: v for k, v in b.items() if v is not None and k != "parsed_output"} for b in blocks]


def _unaccumulated(message: dict[str, Any]) -> dict[str, Any]:
    """A Chat message as a request takes it: without what the SDK's accumulator and parser added."""
    kept = {k: v for k, v in message.items() if v is not None and k != "parsed"}
    if calls := kept.get("tool_calls"):
        kept["tool_calls"] = [_bare_call(c) for c in calls]
    return kept


def _bare_call(call: dict[str, Any]) -> dict[str, Any]:
    function = {k: v for k, v in call["function"].items() if k != "parsed_arguments"}
    return {**{k: v for k, v in call.items() if k != "index"}, "function": function}


MESSAGES = Speech(
    write=write_messages,
    hear=read_messages,
    read=read_message,
    replay=_replay_message,
    call_ids=lambda final: [b["id"] for b in final["content"] if b["type"] == "tool_use"],
    stops={
        "end": "end_turn",
        "length": "max_tokens",
        "tools": "tool_use",
        "stop_sequence": "stop_sequence",
        "refusal": "refusal",
    },
    input_is_all=False,
    models=("claude-sonnet-4-5", "claude-sonnet-4-5"),
    shows=lambda body: (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
    reasoned=lambda final: (final["usage"].get("output_tokens_details") or {}).get("thinking_tokens") or 0,
)
CHAT = Speech(
    write=write_chat,
    hear=read_chat,
    read=read_completion,
    replay=_replay_completion,
    call_ids=lambda final: [c["id"] for c in final["choices"][0]["message"].get("tool_calls") or ()],
    stops={"end": "stop", "length": "length", "tools": "tool_calls", "stop_sequence": "stop", "refusal": "content_filter"},
    input_is_all=True,
    models=("gpt-4.1", "gpt-5"),
    reasoned=lambda final: (final["usage"].get("completion_tokens_details") or {}).get("reasoning_tokens") or 0,
)

from .speech_bedrock import BEDROCK, INVOKE  # noqa: E402 - it builds on what stands above
from .speech_gemini import GEMINI  # noqa: E402 - it builds on what stands above
from .speech_responses import RESPONSES  # noqa: E402 - it builds on what stands above

SPEECHES: dict[str, Speech] = {
    "anthropic": MESSAGES,
    "openai": CHAT,
    "responses": RESPONSES,
    "gemini": GEMINI,
    "bedrock": BEDROCK,
    "invoke": INVOKE,
}
