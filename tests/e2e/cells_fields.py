"""Cells about every field of the vendors' published requests: across dialects each is carried, announced or refused.

The names come from the installed SDKs, so that a new field fails here until it has a sample. What counts as carried is seen
from outside: the upstream's body differs from the one without the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from anthropic.types.beta.message_create_params import MessageCreateParamsBase
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from scripted.answer import says
from scripted.messages_rules import HEADER_FIELDS
from scripted.typed import field_names

from .cells import both, cell, cells_for, crossing, ingress, newest
from .cells_text import PDF, PNG
from .lanes import Got, Lane

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
ANTHROPIC_TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
BETA = {"anthropic-beta": "context-management-2025-06-27,mcp-client-2025-11-20,fast-mode-2026-02-01"}

# A value that is not the default, with what else the request needs to be valid. None: the field is in every other cell.
CHAT_FIELDS: dict[str, dict[str, Any] | None] = {
    "messages": None,
    "model": None,
    "max_completion_tokens": None,
    "stream": None,
    "audio": {"audio": {"voice": "alloy", "format": "wav"}, "modalities": ["text", "audio"]},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "function_call": {"function_call": {"name": "f"}, "functions": [{"name": "f", "parameters": {"type": "object"}}]},
    "functions": {"functions": [{"name": "f", "parameters": {"type": "object"}}]},
    "logit_bias": {"logit_bias": {"50256": -100}},
    "logprobs": {"logprobs": True},
    "max_tokens": {"max_tokens": 99},
    "metadata": {"metadata": {"team": "blue"}},
    "modalities": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    "moderation": {"moderation": {"model": "omni-moderation-latest"}},
    "n": {"n": 2},
    "parallel_tool_calls": {"parallel_tool_calls": False, "tools": [TOOL]},
    "prediction": {"prediction": {"type": "content", "content": "expected"}},
    "presence_penalty": {"presence_penalty": 0.5},
    "prompt_cache_key": {"prompt_cache_key": "k1"},
    "prompt_cache_options": {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "reasoning_effort": {"reasoning_effort": "low"},
    "response_format": {"response_format": {"type": "json_object"}},
    "safety_identifier": {"safety_identifier": "u-77"},
    "seed": {"seed": 7},
    "service_tier": {"service_tier": "flex"},
    "stop": {"stop": "X"},
    "store": {"store": True},
    "stream_options": None,
    "temperature": {"temperature": 0.25},
    "tool_choice": {"tool_choice": "required", "tools": [TOOL]},
    "tools": {"tools": [TOOL]},
    "top_logprobs": {"top_logprobs": 2, "logprobs": True},
    "top_p": {"top_p": 0.5},
    "user": {"user": "u-77"},
    "verbosity": {"verbosity": "low"},
    "web_search_options": {"web_search_options": {"search_context_size": "low"}},
}
MESSAGES_FIELDS: dict[str, dict[str, Any] | None] = {
    "messages": None,
    "model": None,
    "max_tokens": None,
    "system": {"system": "be terse"},
    "billing_policy": {"billing_policy": {"type": "billing_policy", "bill_to": "self"}},
    "cache_control": {"cache_control": {"type": "ephemeral"}},
    "compaction": {"compaction": {"type": "enabled"}},
    "container": {"container": "container_1"},
    "context_management": {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    "diagnostics": {"diagnostics": {"previous_message_id": "msg_1"}},
    "fallback_credit_token": {"fallback_credit_token": "tok"},
    "fallbacks": {"fallbacks": [{"model": "claude-sonnet-4-5"}]},
    "inference_geo": {"inference_geo": "eu"},
    "mcp_servers": {"mcp_servers": [{"type": "url", "url": "https://mcp.example.com/sse", "name": "m"}]},
    "metadata": {"metadata": {"user_id": "u-77"}},
    "output_config": {"output_config": {"effort": "low"}},
    "service_tier": {"service_tier": "standard_only"},
    "speed": {"speed": "fast"},
    "stop_sequences": {"stop_sequences": ["X"]},
    "temperature": {"temperature": 0.25},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096},
    "thread": {"thread": {"type": "create"}},
    "tool_choice": {"tool_choice": {"type": "any"}, "tools": [ANTHROPIC_TOOL]},
    "tools": {"tools": [ANTHROPIC_TOOL]},
    "top_k": {"top_k": 5},
    "top_p": {"top_p": 0.5},
}


def rows(table: Mapping[str, dict[str, Any] | None]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {name: (name, extra) for name, extra in table.items() if extra is not None}


@cell(modes=("whole",), where=lambda way: way.direct and not way.sdk.release)
def every_published_field_has_a_sample(lane: Lane) -> None:
    """A field that a new SDK brings is not silently left out of this file."""
    if lane.way.ingress == "openai":
        assert field_names(CompletionCreateParamsBase) <= set(CHAT_FIELDS)
    else:
        assert field_names(MessageCreateParamsBase) - set(HEADER_FIELDS) <= set(MESSAGES_FIELDS)


@cells_for(rows(CHAT_FIELDS), modes=("whole",), where=both(crossing, newest, ingress("openai")))
def chat_field(lane: Lane, row: tuple[str, dict[str, Any]]) -> None:
    name, extra = row
    body = {"messages": [{"role": "user", "content": "json {script}"}], "max_completion_tokens": 50}
    if "max_tokens" in extra:
        body.pop("max_completion_tokens")
    told(lane, {"max_completion_tokens": 50, **body}, {**body, **extra}, name)


@cells_for(rows(MESSAGES_FIELDS), modes=("whole",), where=both(crossing, newest, ingress("anthropic")))
def messages_field(lane: Lane, row: tuple[str, dict[str, Any]]) -> None:
    name, extra = row
    body = {"messages": [{"role": "user", "content": "hi {script}"}], "max_tokens": 50}
    told(lane, body, {**body, **extra}, name, headers=BETA)


# -- inside messages: (with the member, without it, its name) ---------------------------------------------------------


def chat_user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "hi {script}"}]}]}


def chat_history(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a"}, *messages, {"role": "user", "content": "hi {script}"}], **more}


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
CHAT_PARTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "image detail": (
        chat_user({"type": "image_url", "image_url": {**IMAGE["image_url"], "detail": "low"}}),  # type: ignore[dict-item]
        chat_user(IMAGE),
        "detail",
    ),
    "audio": (
        chat_user({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
        chat_user(),
        "audio",
    ),
    "file by id": (chat_user({"type": "file", "file": {"file_id": "file-1"}}), chat_user(), "file"),
    "name of the user": (
        {"messages": [{"role": "user", "content": "hi {script}", "name": "ann"}]},
        chat_user(),
        "name",
    ),
    "cache breakpoint": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "hi {script}", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    ],
                }
            ]
        },
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi {script}"}]}]},
        "prompt_cache_breakpoint",
    ),
    "refusal of the assistant": (
        chat_history({"role": "assistant", "refusal": "I cannot.", "content": None}),
        chat_history({"role": "assistant", "content": "x"}),
        "refusal",
    ),
    "refusal part": (
        chat_history({"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]}),
        chat_history({"role": "assistant", "content": "x"}),
        "refusal",
    ),
    "audio of the assistant": (
        chat_history({"role": "assistant", "content": "x", "audio": {"id": "audio_1"}}),
        chat_history({"role": "assistant", "content": "x"}),
        "audio",
    ),
    "function call of old": (
        chat_history(
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "done"},
            functions=[{"name": "f", "parameters": {"type": "object"}}],
        ),
        chat_history(functions=[{"name": "f", "parameters": {"type": "object"}}]),
        "function_call",
    ),
    "custom tool": (
        {**chat_user(), "tools": [TOOL, {"type": "custom", "custom": {"name": "sql", "description": "runs SQL"}}]},
        {**chat_user(), "tools": [TOOL]},
        "custom",
    ),
    "allowed tools": (
        {
            **chat_user(),
            "tools": [TOOL, {**TOOL, "function": {"name": "g", "parameters": {"type": "object"}}}],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        },
        {**chat_user(), "tools": [TOOL, {**TOOL, "function": {"name": "g", "parameters": {"type": "object"}}}]},
        "allowed_tools",
    ),
    "future field": ({**chat_user(), "field_of_next_year": {"a": 1}}, chat_user(), "field_of_next_year"),
    "future part": (chat_user({"type": "hologram", "hologram": {"x": 1}}), chat_user(), "hologram"),
    "future member": (
        {"messages": [{"role": "user", "content": "hi {script}", "mood": "grim"}]},
        chat_user(),
        "mood",
    ),
}


@cells_for(CHAT_PARTS, modes=("whole",), where=both(crossing, newest, ingress("openai")))
def chat_part(lane: Lane, row: tuple[dict[str, Any], dict[str, Any], str]) -> None:
    given, bare, name = row
    told(lane, {"max_completion_tokens": 50, **bare}, {"max_completion_tokens": 50, **given}, name)


def blocks(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "hi {script}"}]}], **more}


def answered(*said: dict[str, Any], **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [*said, {"type": "text", "text": "b"}]}]
    return {"messages": [*turns, {"role": "user", "content": "hi {script}"}], **more}


def result(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"type": "tool_result", "tool_use_id": "toolu_1", "content": list(parts), **more}
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": [USE]}]
    last = {"role": "user", "content": [given, {"type": "text", "text": "hi {script}"}]}
    return {"messages": [*turns, last], "tools": [ANTHROPIC_TOOL]}


DOCUMENT = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
PLAIN = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "PLAIN WORDS"}}
SEARCH = {
    "type": "search_result",
    "source": "https://a.example",
    "title": "T",
    "content": [{"type": "text", "text": "FOUND WORDS"}],
}
MESSAGES_PARTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "title of a document": (blocks({**DOCUMENT, "title": "paper"}), blocks(DOCUMENT), "title"),
    "context of a document": (blocks({**DOCUMENT, "context": "from 1999"}), blocks(DOCUMENT), "context"),
    "citations of a document": (blocks({**DOCUMENT, "citations": {"enabled": True}}), blocks(DOCUMENT), "citations"),
    "plain text document": (blocks(PLAIN), blocks(), "document"),
    "document of blocks": (
        blocks({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "INNER"}]}}),
        blocks(),
        "document",
    ),
    "document by url": (
        blocks({"type": "document", "source": {"type": "url", "url": "https://a.example/x.pdf"}}),
        blocks(),
        "document",
    ),
    "file by id": (blocks({"type": "image", "source": {"type": "file", "file_id": "file_1"}}), blocks(), "file"),
    "search result": (blocks(SEARCH), blocks(), "search_result"),
    "upload to a container": (blocks({"type": "container_upload", "file_id": "file_1"}), blocks(), "container_upload"),
    "search in a result": (result(SEARCH), result(), "search_result"),
    "document in a result": (result(DOCUMENT), result(), "document"),
    "plain document in a result": (result(PLAIN), result(), "document"),
    "picture in a result": (
        result({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
        result(),
        "image",
    ),
    "error of a result": (
        result({"type": "text", "text": "x"}, is_error=True),
        result({"type": "text", "text": "x"}),
        "is_error",
    ),
    "citations of the assistant": (
        answered(
            {
                "type": "text",
                "text": "It is so.",
                "citations": [
                    {
                        "type": "char_location",
                        "cited_text": "so",
                        "document_index": 0,
                        "document_title": None,
                        "start_char_index": 0,
                        "end_char_index": 2,
                    }
                ],
            }
        ),
        answered({"type": "text", "text": "It is so."}),
        "citations",
    ),
    "server tool of the assistant": (
        answered(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [{"type": "web_search_result", "url": "https://a.example", "title": "T", "encrypted_content": "eA=="}],
            },
        ),
        answered(),
        "server_tool_use",
    ),
    "strict tool": (
        {**blocks(), "tools": [{**ANTHROPIC_TOOL, "strict": True}]},
        {**blocks(), "tools": [ANTHROPIC_TOOL]},
        "strict",
    ),
    "eager tool": (
        {**blocks(), "tools": [{**ANTHROPIC_TOOL, "eager_input_streaming": True}]},
        {**blocks(), "tools": [ANTHROPIC_TOOL]},
        "eager_input_streaming",
    ),
    "callers of a tool": (
        {**blocks(), "tools": [{**ANTHROPIC_TOOL, "allowed_callers": ["code_execution_20250825"]}]},
        {**blocks(), "tools": [ANTHROPIC_TOOL]},
        "allowed_callers",
    ),
    "examples of a tool": (
        {**blocks(), "tools": [{**ANTHROPIC_TOOL, "input_examples": [{"a": 1}]}]},
        {**blocks(), "tools": [ANTHROPIC_TOOL]},
        "input_examples",
    ),
    "code execution": (
        {**blocks(), "tools": [ANTHROPIC_TOOL, {"type": "code_execution_20250825", "name": "code_execution"}]},
        {**blocks(), "tools": [ANTHROPIC_TOOL]},
        "tools",
    ),
    "future field": ({**blocks(), "field_of_next_year": {"a": 1}}, blocks(), "field_of_next_year"),
    "future block": (blocks({"type": "hologram", "hologram": {"x": 1}}), blocks(), "hologram"),
    "future member": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi {script}", "mood": "grim"}]}]},
        blocks(),
        "mood",
    ),
}


@cells_for(MESSAGES_PARTS, modes=("whole",), where=both(crossing, newest, ingress("anthropic")))
def messages_part(lane: Lane, row: tuple[dict[str, Any], dict[str, Any], str]) -> None:
    given, bare, name = row
    told(lane, {"max_tokens": 50, **bare}, {"max_tokens": 50, **given}, name, headers=BETA)


# -- the judgement ----------------------------------------------------------------------------------------------------


def told(lane: Lane, bare: Mapping[str, Any], given: Mapping[str, Any], name: str, **job: Any) -> None:
    """`given` has what `bare` has not: the upstream sees it, or the caller is told, in a header or by a 400."""
    got = lane.send_body(given, says("ok"), **job)
    if "error" in got.verdict:
        assert not got.records, f"the upstream was sent what it refuses: {got.records[-1].refusal} {got.record.body}"
        got.failed("BadRequestError", status=400)
        assert name in got.error["message"], f"{name} is not named: {got.error['message']}"
        return
    got.same()
    if re.search(rf"(?<![a-z_]){name}(?![a-z_])", got.losses):
        return
    plain = lane.send_body(bare, says("ok"), **job)
    assert seen(got) != seen(plain), f"{name} was lost in silence; announced: {got.losses!r}; sent: {seen(got)}"


def seen(got: Got) -> str:
    """The upstream's body, without the name of its script."""
    return re.sub(r"\[\[script @s\d+\]\]", "", json.dumps(got.record.body, ensure_ascii=False))
