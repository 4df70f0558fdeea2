"""An Answer as the output items of OpenAI Responses, and each item as the events that build it. Knows no route and no rule."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from .answer import Answer, Call, Redacted, Text, Thinking, pieces
from .responses_asked import BODIES, BUILT_IN, ENCRYPTED, every_tool
from .responses_signing import encrypt

Item = dict[str, Any]
Event = dict[str, Any]
LOGPROBS = "message.output_text.logprobs"


def ident(prefix: str) -> str:
    return f"{prefix}_{os.urandom(16).hex()}"


def usage_of(answer: Answer) -> Item:
    usage = answer.usage
    everything = usage.input + usage.cached + usage.written
    return {
        "input_tokens": everything,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": everything + usage.output,
    }


def shows_reasoning(body: Mapping[str, Any]) -> bool:
    reasoning = body.get("reasoning") or {}
    return bool(reasoning.get("summary") or reasoning.get("generate_summary"))


# -- finished items ---------------------------------------------------------------------------------------------------


def output_of(body: Mapping[str, Any], answer: Answer) -> list[Item]:
    """The items of a finished reply. Texts that follow one another are the parts of one message."""
    kinds = {t.get("name") or t["type"]: t for t in every_tool(body)}
    items: list[Item] = []
    for part in answer.parts:
        match part:
            case Thinking(text):
                items.append(_reasoning(body, text, text))
            case Redacted(data):
                items.append(_reasoning(body, "", data))
            case Text():
                content = _text(part, body, answer)
                if items and items[-1]["type"] == "message":
                    items[-1]["content"].append(content)
                else:
                    items.append(_message([content]))
            case Call():
                items.append(_call(part, kinds.get(part.name, {})))
            case _:
                raise TypeError(f"the Responses dialect cannot answer with {part!r}")
    if answer.refusal:
        items.append(_message([{"type": "refusal", "refusal": answer.refusal}]))
    if reason_of(answer) and items and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    return items


def reason_of(answer: Answer) -> str:
    """`incomplete_details.reason`, empty where the answer is complete."""
    if answer.ending == "refusal" and not answer.refusal:
        return "content_filter"
    return {"length": "max_output_tokens", "model_context_window_exceeded": "max_output_tokens"}.get(answer.ending, "")


def _reasoning(body: Mapping[str, Any], text: str, secret: str) -> Item:
    shown = [{"type": "summary_text", "text": text}] if text and shows_reasoning(body) else []
    item: Item = {"id": ident("rs"), "type": "reasoning", "summary": shown}
    if ENCRYPTED in (body.get("include") or ()):
        item["encrypted_content"] = encrypt(secret)
    return item


def _message(content: list[Item]) -> Item:
    return {"id": ident("msg"), "type": "message", "status": "completed", "content": content, "role": "assistant"}


def _text(part: Text, body: Mapping[str, Any], answer: Answer) -> Item:
    notes = [
        {"type": "url_citation", "start_index": 0, "end_index": len(part.text), "url": c.url, "title": c.title}
        for c in part.cites
    ]
    tokens = pieces(part.text, answer.style.pieces) if LOGPROBS in (body.get("include") or ()) else []
    return {"type": "output_text", "annotations": notes, "logprobs": [_token(t) for t in tokens], "text": part.text}


def _token(text: str) -> Item:
    return {"token": text, "bytes": list(text.encode()), "logprob": -0.25, "top_logprobs": []}


def _call(call: Call, tool: Mapping[str, Any]) -> Item:
    """In the form in which the tool was offered: a function, free text, or one of the tools that the API has itself."""
    call_id = call.id or ident("call")
    within = {"namespace": tool["namespace"]} if "namespace" in tool else {}
    args: Any = call.args
    kind = tool.get("type", "function")
    for item_kind, tool_kind in BUILT_IN.items():
        if kind == tool_kind:
            named = {"id": ident(item_kind[:3]), "type": item_kind, "status": "completed", "call_id": call_id}
            return {**named, BODIES[item_kind]: dict(args)}
    if kind == "custom":
        text = args["input"] if isinstance(args, Mapping) else args
        row = {"id": ident("ctc"), "type": "custom_tool_call", "status": "completed", "call_id": call_id}
        return {**row, "input": text, "name": call.name, **within}
    row = {"id": ident("fc"), "type": "function_call", "status": "completed", "arguments": call.json}
    return {**row, "call_id": call_id, "name": call.name, **within}


# -- events -----------------------------------------------------------------------------------------------------------


def events_of(items: list[Item], answer: Answer, obfuscated: bool) -> list[list[Event]]:
    """The events of each item in order, without sequence numbers; with `interleave` calls side by side are one list."""
    lanes = [_item_events(item, at, answer.style.pieces) for at, item in enumerate(items)]
    if obfuscated:
        for event in (e for lane in lanes for e in lane):
            if event["type"].endswith(".delta"):
                event["obfuscation"] = os.urandom(4).hex()
    if not answer.style.interleave:
        return lanes
    calls = [at for at, item in enumerate(items) if item["type"].endswith("_call")]
    mixed = _in_turns([lanes[at] for at in calls])
    return [lane for at, lane in enumerate(lanes) if at not in calls] + ([mixed] if mixed else [])


def _in_turns(lanes: list[list[Event]]) -> list[Event]:
    longest = max(map(len, lanes), default=0)
    return [lane[at] for at in range(longest) for lane in lanes if at < len(lane)]


def _item_events(item: Item, index: int, count: int) -> list[Event]:
    place = {"item_id": item["id"], "output_index": index}
    rows: list[Event] = []
    match item["type"]:
        case "message":
            opened = {**item, "status": "in_progress", "content": []}
            for at, part in enumerate(item["content"]):
                rows += _part_events(part, {**place, "content_index": at}, count)
        case "reasoning":
            opened = {**item, "summary": []}
            for at, part in enumerate(item["summary"]):
                rows += _summary_events(part, {**place, "summary_index": at}, count)
        case "function_call" | "custom_tool_call":
            name, stem = CALL_TEXT[item["type"]]
            opened = {**item, "status": "in_progress", name: ""}
            rows = [{"type": f"response.{stem}.delta", **place, "delta": p} for p in pieces(item[name], count)]
            rows.append({"type": f"response.{stem}.done", **place, name: item[name]})
        case _:
            opened = {**item, "status": "in_progress"}
    first = {"type": "response.output_item.added", "output_index": index, "item": opened}
    return [first, *rows, {"type": "response.output_item.done", "output_index": index, "item": item}]


CALL_TEXT = {
    "function_call": ("arguments", "function_call_arguments"),
    "custom_tool_call": ("input", "custom_tool_call_input"),
}


def _part_events(part: Item, place: Item, count: int) -> list[Event]:
    name = "refusal" if part["type"] == "refusal" else "text"
    stem = "response.refusal" if name == "refusal" else "response.output_text"
    tokens = part.get("logprobs", [])
    words = pieces(part[name], count)
    empty = {**part, name: "", **({} if name == "refusal" else {"annotations": [], "logprobs": []})}
    rows: list[Event] = [{"type": "response.content_part.added", **place, "part": empty}]
    for at, piece in enumerate(words):
        said = {} if name == "refusal" else {"logprobs": tokens[at : at + 1]}
        rows.append({"type": f"{stem}.delta", **place, "delta": piece, **said})
    for at, note in enumerate(part.get("annotations", ())):
        rows.append({"type": "response.output_text.annotation.added", **place, "annotation_index": at, "annotation": note})
    said = {} if name == "refusal" else {"logprobs": tokens}
    rows.append({"type": f"{stem}.done", **place, name: part[name], **said})
    rows.append({"type": "response.content_part.done", **place, "part": part})
    return rows


def _summary_events(part: Item, place: Item, count: int) -> list[Event]:
    deltas = [{"type": "response.reasoning_summary_text.delta", **place, "delta": p} for p in pieces(part["text"], count)]
    return [
        {"type": "response.reasoning_summary_part.added", **place, "part": {"type": "summary_text", "text": ""}},
        *deltas,
        {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]},
        {"type": "response.reasoning_summary_part.done", **place, "part": part},
    ]


def numbered(events: list[Event], first: int) -> list[Event]:
    """With contiguous sequence numbers, from `first`."""
    return [{**event, "sequence_number": first + at} for at, event in enumerate(events)]


def copied(value: Any) -> Any:
    return json.loads(json.dumps(value))
