"""Servers that only nearly speak OpenAI Responses: what they leave out or write otherwise, without another meaning.

Seen at vLLM, llama.cpp, OpenRouter, xAI and DeepSeek. Each keeps what the API's own clients cannot do without.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Body = dict[str, Any]
Parts = tuple[list[Body], list[Body], list[Body]]


def _only(*kinds: str) -> Callable[[list[Body], list[Body], list[Body]], Parts]:
    def keep(head: list[Body], body: list[Body], last: list[Body]) -> Parts:
        return head, [e for e in body if not e["type"].endswith(kinds)], last

    return keep


def _no_progress(head: list[Body], body: list[Body], last: list[Body]) -> Parts:
    return head[:1], body, last


def _empty_output_at_the_end(head: list[Body], body: list[Body], last: list[Body]) -> Parts:
    """The last event says usage and status; the items were all said before."""
    return head, body, [{**e, "response": {**e["response"], "output": []}} for e in last]


def _no_deltas(head: list[Body], body: list[Body], last: list[Body]) -> Parts:
    return head, [e for e in body if not e["type"].endswith(".delta")], last


def _bare_response(head: list[Body], body: list[Body], last: list[Body]) -> Parts:
    """Only the members without which nothing works."""
    names = ("id", "object", "status", "output", "usage", "model", "created_at", "incomplete_details", "error")
    shorter = [[{**e, "response": {k: e["response"].get(k) for k in names}} for e in rows] for rows in (head, last)]
    return shorter[0], body, shorter[1]


def _strange_events(head: list[Body], body: list[Body], last: list[Body]) -> Parts:
    """Kinds of events and items that no SDK knows yet stand between the others."""
    strange = {"type": "response.hologram.turning", "angle": 3}
    return head, [e for event in body for e in (strange, event)], last


EVENTS: dict[str, Callable[[list[Body], list[Body], list[Body]], Parts]] = {
    "no_part_events": _only("content_part.added", "content_part.done", "summary_part.added", "summary_part.done"),
    "no_done_of_text": _only("output_text.done", "arguments.done", "summary_text.done", "input.done"),
    "no_progress": _no_progress,
    "no_deltas": _no_deltas,
    "empty_output_at_the_end": _empty_output_at_the_end,
    "bare_response": _bare_response,
    "strange_events": _strange_events,
}


def _bare(response: Body) -> None:
    for name in ("background", "instructions", "metadata", "parallel_tool_calls", "tool_choice", "tools", "text", "truncation"):
        response.pop(name, None)


def _no_item_ids(response: Body) -> None:
    for item in response["output"]:
        item.pop("id", None)


def _no_logprobs(response: Body) -> None:
    for item in response["output"]:
        for part in item.get("content") or ():
            part.pop("logprobs", None)
            part.pop("annotations", None)


def _arguments_as_object(response: Body) -> None:
    for item in response["output"]:
        if "arguments" in item:
            item["arguments"] = json.loads(item["arguments"] or "{}")


DOCUMENTS: dict[str, Callable[[Body], None]] = {
    "bare": _bare,
    "no_item_ids": _no_item_ids,
    "no_logprobs": _no_logprobs,
    "arguments_as_object": _arguments_as_object,
}
