"""Every member of the vendors' published request types, through both translations: none may vanish in silence.

For each member two bodies that are equal but for it are translated. Different bytes: it is carried (or emulated). Different
losses: it is announced. InvalidRequest: it is refused. Neither: it is silent, and then it must be in SILENT with the reason. What
was found is kept in tests/golden/requests/members_*.txt, without what only follows the part that it is in; UPDATE_GOLDEN=1 writes
it anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anthropic.types.beta.message_create_params import MessageCreateParamsBase as AnthropicRequest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatRequest

from anyllm_fast.dialects import anthropic_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.sdk_types import problems, variants

GOLDEN = Path(__file__).parent / "golden" / "requests"
PLAIN = Profile()
RICH = Profile(
    cache_breakpoints=True,
    top_k=True,
    developer_role=True,
    web_search_options=True,
    system_turns=True,
    temperature_with_top_p=True,
    adaptive_thinking=False,
)
READERS = {"anthropic": anthropic_request, "openai_chat": openai_chat_request}
REQUESTS = {"anthropic": AnthropicRequest, "openai_chat": ChatRequest}
LANES = [("anthropic", "openai_chat"), ("openai_chat", "anthropic")]
HEADERS = {"betas", "user_profile_id", "workspace_id"}  # members of the SDK's call that travel as headers

SILENT: dict[str, dict[str, str]] = {
    "anthropic": {
        r"\.model(=|$)": "the target's model takes its place",
        r"(tool_use_id|\.id)$": "whose result it is: said by its place behind the call",
        r"\.caller(<.*)?$": "which server tool made the call: the same",
        r"\.caller\.tool_id$": "the same",
        r"\.(citations|tool_changes|stop_sequences|tools|state_changes|lines)$": "an empty list or object",
        r"<BrowserStateBlock>$": "a browser without tabs",
        r"\.(metadata|output_config)$": "an empty object",
        r"\.clear_at(=never)?$": "on an empty message; never is the default",
        r"<SystemMessage>$": "an empty message",
        r"\.speed$": "standard is the default",
        r"\.allowed_callers\[\]$": "direct is the default",
        r"\.tools\[\]<Tool>\.type$": "custom is the default",
        r"<CompactionBlock>(\.signature)?$": "a compaction that failed; a seal for Anthropic's servers",
        r"<RequestToolAdditionBlock>(\.tool<ToolChangeToolReference>\.name)?$": "decides which deferred tools are sent",
        r"\.cache_control\.ttl$": "five minutes are within what the target keeps anyway",
        r"^\.cache_control$": "automatic caching, which the target does unasked",
        r"<FallbackBlock>": "not shown to the model by the API either",
    },
    "openai_chat": {
        r"^\.model(=|$)": "the target's model takes its place",
        r"<AssistantMessage>$": "an empty message",
        r"\.image_url\.detail$": "auto is the default",
        r"\.(tool_calls|functions|tools|logit_bias|metadata|prompt_cache_options|stream_options)$": "an empty list or object",
        r"\.modalities\[\]$": "text is the default",
        r"(\.response_format|<CustomTool>\.custom\.format)$": "text is the default",
        r"\.json_schema\.schema$": "an empty schema asks for no more than JSON",
        r"\.json_schema\.strict$": "the target always enforces the schema",
        r"\.stream_options\.include_usage$": "a matter of the reply",
        r"(\.verbosity|\.search_context_size)=medium$": "the default",
    },
}
"""Paths by pattern, and why nothing is lost."""


def outcome(source: str, body: dict[str, Any], profile: Profile) -> tuple[str, Any]:
    target = "openai_chat" if source == "anthropic" else "anthropic"
    losses = Losses()
    try:
        request = READERS[source].read_request(json.dumps(sendable(source, body)).encode(), losses)
        written = READERS[target].write_request(request, "model", profile, losses)
    except InvalidRequest as error:
        return "refused", error.where
    found = problems(json.loads(written), REQUESTS[target])
    assert not [problem for problem in found if not any(name in problem for name in EXTENSIONS)], found
    return "written", (written, dict(losses))


EXTENSIONS = (".top_k", ".temperature", ".top_p")  # of one SDK or host, and not of the other SDK's types


def sendable(source: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body with what a conversation needs around the one message that a variant has, and a tool where one is chosen."""
    messages = [message for each in body["messages"] for message in surrounded(source, each)]
    start, end = {"role": "user", "content": "hello"}, {"role": "user", "content": "go on"}
    tool: dict[str, Any] = {"name": "first-word", "input_schema": {"type": "object"}}
    if source == "openai_chat":
        tool = {"type": "function", "function": {"name": "first-word"}}
    needed = {"tool_choice", "parallel_tool_calls", "function_call"} & body.keys() and "tools" not in body
    return {**body, "messages": [start, *messages, end], **({"tools": [tool]} if needed else {})}


def surrounded(source: str, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    blocks = message.get("content") if isinstance(message.get("content"), list) else []
    called = [block for block in blocks or [] if block.get("type") == "tool_use"]
    answered = [block for block in blocks or [] if block.get("type") == "tool_result"]
    if source == "openai_chat":
        called = message.get("tool_calls", [])
        if message["role"] == "tool":
            call = {"id": message["tool_call_id"], "type": "function", "function": {"name": "f", "arguments": "{}"}}
            yield {"role": "assistant", "tool_calls": [call]}
        if message["role"] == "function":
            yield {"role": "assistant", "function_call": {"name": message["name"], "arguments": "{}"}}
    for block in answered:
        yield {"role": "assistant", "content": [{"type": "tool_use", "id": block["tool_use_id"], "name": "f", "input": {}}]}
    yield message
    for call in called:
        if source == "openai_chat":
            yield {"role": "tool", "tool_call_id": call["id"], "content": "done"}
        elif message["role"] == "assistant":
            yield {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "done"}]}
    if "function_call" in message:
        yield {"role": "function", "name": message["function_call"]["name"], "content": "done"}


def rows(source: str, profile: Profile) -> Iterator[tuple[str, str]]:
    """Path and outcome of every member. Definitions of tools inside messages are tools again, and not entered."""
    for path, one, other in variants(REQUESTS[source]):
        if path.split(".")[1].split("[")[0].split("<")[0].split("=")[0] in HEADERS or ".definition<" in path:
            continue
        yield path, _difference(path, outcome(source, one, profile), outcome(source, other, profile))


def _difference(path: str, before: tuple[str, Any], after: tuple[str, Any]) -> str:
    if after[0] == "refused":
        return f"refused at {after[1]}" if before[0] == "written" else "refused with its part"
    if before[0] == "refused":
        return "carried, where its absence is refused"
    (one, lost_before), (other, lost_after) = before[1], after[1]
    announced = sorted(lost_after.keys() - lost_before.keys())
    if announced:
        return f"announced as {', '.join(announced)}" + (" (and emulated)" if one != other else "")
    if one != other:
        return "carried"
    names = _names(re.sub(r"<[^>]*>|=.*|\[\]|\{\}|\?", "", path))
    about = any(names[: len(lost)] == lost for lost in map(_names, lost_after))
    return "announced with its part" if about else "silent"


def _names(path: str) -> list[str]:
    """A path without its indices, which the messages around a variant shift."""
    return [name for name in path.split(".") if name and not name.isdigit()]


@pytest.mark.parametrize("source", ["anthropic", "openai_chat"])
def test_no_member_of_the_published_types_vanishes(source: str) -> None:
    found = dict(rows(source, PLAIN))
    text = "".join(f"{path}  {what}\n" for path, what in found.items() if not what.endswith("its part"))
    golden = GOLDEN / f"members_{source}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    silent = [path for path, what in found.items() if what == "silent" and not _explained(source, path)]
    assert not silent
    assert text == golden.read_text()


@pytest.mark.parametrize("source", ["anthropic", "openai_chat"])
def test_no_member_vanishes_on_the_way_to_a_target_that_can_do_more(source: str) -> None:
    assert not [path for path, what in rows(source, RICH) if what == "silent" and not _explained(source, path)]


def _explained(source: str, path: str) -> bool:
    return any(re.search(pattern, path.rstrip("?")) for pattern in SILENT[source])
