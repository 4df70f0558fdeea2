"""How Bedrock is spoken in the matrix: Converse, and InvokeModel with Claude's own bodies. Knows no feature.

Blobs are base64 here, as on the wire; boto3 has them as bytes, which its judge sees to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scripted.answer import Document
from scripted.asked import Asked, Turn, Verbatim, write_messages
from scripted.bedrock_asked import plain_name, read_converse, shows_thinking, write_converse
from scripted.bedrock_invoke import VERSION

from .speech import MESSAGES, Meaning, Speech, canonical

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
RAISES = {
    "BadRequestError": "ValidationException",
    "UnprocessableEntityError": "ValidationException",
    "AuthenticationError": "UnrecognizedClientException",
    "PermissionDeniedError": "AccessDeniedException",
    "NotFoundError": "ResourceNotFoundException",
    "RateLimitError": "ThrottlingException",
    "InternalServerError": "InternalServerException",
    "APIStatusError": "ClientError",
    "APIError": "ClientError",
    "APIConnectionError": "HTTPClientError",
}
STATUSES = {401: 403, 413: 400, 422: 400, 529: 503}


def read_reply(final: Mapping[str, Any]) -> Meaning:
    content = final["output"]["message"]["content"]
    usage = final["usage"]
    reasoning = [b["reasoningContent"].get("reasoningText", {}) for b in content if "reasoningContent" in b]
    return Meaning(
        text="".join(b["text"] for block in content for b in _texts(block)),
        thinking="".join(r.get("text", "") for r in reasoning),
        calls=tuple((b["toolUse"]["name"], canonical(b["toolUse"]["input"])) for b in content if "toolUse" in b),
        stop=final["stopReason"],
        input=usage["inputTokens"],
        cached=usage.get("cacheReadInputTokens") or 0,
        written=usage.get("cacheWriteInputTokens") or 0,
        output=usage["outputTokens"],
    )


def _texts(block: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [block] if "text" in block else list(block.get("citationsContent", {}).get("content", ()))


def _sayable(asked: Asked) -> Asked:
    """Converse has no choice of no tools but to leave them out, and plain names of documents only."""
    if asked.choice == "none":
        asked = replace(asked, choice="", tools=())
    turns = tuple(replace(t, parts=tuple(_renamed(p) for p in t.parts)) for t in asked.turns)
    return replace(asked, turns=turns, user="")


def _renamed(part: Any) -> Any:
    """The ending goes with the format and comes back with it."""
    if not isinstance(part, Document):
        return part
    stem, dot, ending = part.name.rpartition(".")
    return replace(part, name=f"{plain_name(stem)}{dot}{ending}" if dot else plain_name(ending))


BEDROCK: Speech = Speech(
    write=write_converse,
    hear=read_converse,
    read=read_reply,
    replay=lambda final: Turn("assistant", (Verbatim(final["output"]["message"]),)),
    call_ids=lambda final: [b["toolUse"]["toolUseId"] for b in final["output"]["message"]["content"] if "toolUse" in b],
    stops={
        "end": "end_turn",
        "length": "max_tokens",
        "tools": "tool_use",
        "stop_sequence": "stop_sequence",
        "refusal": "content_filtered",
    },
    input_is_all=False,
    models=(CLAUDE, CLAUDE),
    raises=RAISES,
    statuses=STATUSES,
    shows=shows_thinking,
    sayable=_sayable,
)


def _write_invoke(asked: Asked, model: str) -> dict[str, Any]:
    return {"anthropic_version": VERSION, **write_messages(asked, model)}


INVOKE: Speech = replace(MESSAGES, write=_write_invoke, models=(CLAUDE, CLAUDE), raises=RAISES, statuses=STATUSES)
"""Messages, carried by InvokeModel. The judge puts `model` into the path."""
