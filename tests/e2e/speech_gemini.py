"""How Gemini is spoken in the matrix. Knows no feature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripted.asked import Turn, Verbatim
from scripted.gemini_asked import calls_of, placed_ids, read_gemini, write_gemini
from scripted.gemini_types import spelled

from .speech import Meaning, Speech, canonical


def read_reply(final: Mapping[str, Any]) -> Meaning:
    candidate = (final.get("candidates") or [{}])[0]
    content = candidate.get("content") or {}
    texts = [p for p in content.get("parts") or () if "text" in p]
    usage = final.get("usageMetadata") or {}
    return Meaning(
        text="".join(p["text"] for p in texts if not p.get("thought")),
        thinking="".join(p["text"] for p in texts if p.get("thought")),
        calls=tuple((c["name"], canonical(c.get("args") or {})) for c in calls_of(content)),
        stop=candidate.get("finishReason"),
        input=(usage.get("promptTokenCount") or 0) + (usage.get("toolUsePromptTokenCount") or 0),
        cached=usage.get("cachedContentTokenCount") or 0,
        output=(usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0),
    )


def _content(final: Mapping[str, Any]) -> dict[str, Any]:
    """The model's content as a program appends it to its history."""
    content: dict[str, Any] = final["candidates"][0]["content"]
    return content


def _shows(body: Mapping[str, Any]) -> bool:
    thinking = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return bool(thinking.get("includeThoughts"))


GEMINI = Speech(
    write=write_gemini,
    hear=read_gemini,
    read=read_reply,
    replay=lambda final: Turn("assistant", (Verbatim(_content(final)),)),
    call_ids=lambda final: placed_ids(_content(final)),
    stops={"end": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "stop_sequence": "STOP", "refusal": "SAFETY"},
    input_is_all=True,
    models=("gemini-2.5-flash", "gemini-3-pro-preview"),
    raises={
        **dict.fromkeys(("BadRequestError", "AuthenticationError", "PermissionDeniedError", "NotFoundError"), "ClientError"),
        **dict.fromkeys(("UnprocessableEntityError", "RateLimitError"), "ClientError"),
        "InternalServerError": "ServerError",
        "APIStatusError": "APIError",
    },
    statuses={413: 400, 422: 400, 529: 503},
    counts_written=False,
    reasoned=lambda final: final["usageMetadata"].get("thoughtsTokenCount") or 0,
    shows=lambda body: _shows(spelled(dict(body))),
)
