"""Habits of servers that call themselves compatible with Chat Completions: the meaning stays, the shape does not.

Each was seen in an issue thread of a client or gateway, or on the wire (Azure, vLLM, SGLang, llama.cpp, Ollama, Mistral, Groq,
Gemini's compatible endpoint, Kimi, DeepSeek). One function for a stream's chunks, one for a document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

Row = dict[str, Any]


def _deltas(rows: list[Row]) -> Iterator[Row]:
    for row in rows:
        for choice in row["choices"] or ():
            yield choice["delta"]


def _calls(rows: list[Row]) -> Iterator[Row]:
    for delta in _deltas(rows):
        yield from delta.get("tool_calls") or ()


def _opens(call: Row) -> bool:
    return bool(call["function"].get("name"))


def filter_results_first(rows: list[Row]) -> list[Row]:
    """Azure: a chunk without choices before the first."""
    first = {**rows[0], "choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}
    return [{**first, "id": "", "model": ""}, *rows]


def role_in_each(rows: list[Row]) -> list[Row]:
    for delta in _deltas(rows):
        delta["role"] = "assistant"
    return rows


def nulls_everywhere(rows: list[Row]) -> list[Row]:
    """Every member of a delta is there, null where it has nothing to say."""
    for delta in _deltas(rows):
        for key in ("role", "content", "tool_calls", "refusal", "function_call", "reasoning_content", "audio"):
            delta.setdefault(key, None)
    for call in _calls(rows):
        for key in ("id", "type"):
            call.setdefault(key, None)
        call["function"].setdefault("name", None)
    return rows


def empty_strings_in_fragments(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        if not _opens(call):
            call |= {"id": "", "type": "function"}
            call["function"]["name"] = ""
    return rows


def id_in_each(rows: list[Row]) -> list[Row]:
    ids: dict[int, str] = {}
    for call in _calls(rows):
        call["id"] = ids.setdefault(call["index"], call.get("id", ""))
    return rows


def finish_empty_until_the_end(rows: list[Row]) -> list[Row]:
    for row in rows:
        for choice in row["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or ""
    return rows


def usage_in_each(rows: list[Row]) -> list[Row]:
    """vLLM with continuous usage: the counts so far are in every chunk."""
    for at, row in enumerate(rows):
        if not row.get("usage"):
            row["usage"] = {"prompt_tokens": 11, "completion_tokens": min(at, 7), "total_tokens": 11 + min(at, 7)}
    return rows


def arguments_null_first(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        if _opens(call) and not call["function"]["arguments"]:
            call["function"]["arguments"] = None
    return rows


def arguments_absent_first(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        if _opens(call) and not call["function"]["arguments"]:
            del call["function"]["arguments"]
    return rows


def every_index_zero(rows: list[Row]) -> list[Row]:
    """Gemini's compatible endpoint: whole calls, each with index 0 and an id of its own."""
    for call in _calls(rows):
        call["index"] = 0
    return rows


def index_from_one(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        call["index"] += 1
    return rows


def no_ids(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        call.pop("id", None)
        call.pop("type", None)
    return rows


def empty_ids(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        call["id"] = ""
    return rows


def same_ids(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        if "id" in call:
            call["id"] = "call_0"
    return rows


def ids_with_dots(rows: list[Row]) -> list[Row]:
    """Kimi: `functions.name:0`, which the Messages API does not take back."""
    for call in _calls(rows):
        if "id" in call:
            call["id"] = f"functions.{call['function']['name']}:{call['index']}"
    return rows


def arguments_as_object(rows: list[Row]) -> list[Row]:
    for call in _calls(rows):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"] or "{}")
    return rows


def finish_of_another_world(rows: list[Row]) -> list[Row]:
    for row in rows:
        for choice in row["choices"]:
            choice["finish_reason"] = {"stop": "eos"}.get(choice["finish_reason"], choice["finish_reason"])
    return rows


def bare_chunks(rows: list[Row]) -> list[Row]:
    """Only what says something: no id, object, created, model, logprobs."""
    kept = [{k: v for k, v in row.items() if k in ("choices", "usage") and (v or k == "choices")} for row in rows]
    for row in kept:
        for choice in row["choices"]:
            choice.pop("logprobs", None)
            if choice["finish_reason"] is None:
                del choice["finish_reason"]
    return kept


def choices_null_with_usage(rows: list[Row]) -> list[Row]:
    for row in rows:
        if not row["choices"]:
            row["choices"] = None
    return rows


def delta_null_at_the_end(rows: list[Row]) -> list[Row]:
    for row in rows:
        for choice in row["choices"]:
            if choice["finish_reason"] and not choice["delta"]:
                choice["delta"] = None
    return rows


def empty_chunks_between(rows: list[Row]) -> list[Row]:
    """Keep-alive by chunks that say nothing."""
    empty = {**rows[0], "choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    return [r for row in rows for r in ((row, dict(empty)) if row["choices"] else (row,))]


def in_order(rows: list[Row]) -> list[Row]:
    """Words again after a call: `chat.py` writes the parts in their order when this habit is asked for."""
    return rows


def content_in_parts(rows: list[Row]) -> list[Row]:
    """Mistral: content is a list of typed parts."""
    for delta in _deltas(rows):
        if delta.get("content"):
            delta["content"] = [{"type": "text", "text": delta["content"]}]
    return rows


CHUNKS: dict[str, Callable[[list[Row]], list[Row]]] = {
    f.__name__: f
    for f in (
        filter_results_first,
        role_in_each,
        nulls_everywhere,
        empty_strings_in_fragments,
        id_in_each,
        finish_empty_until_the_end,
        usage_in_each,
        arguments_null_first,
        arguments_absent_first,
        every_index_zero,
        index_from_one,
        no_ids,
        empty_ids,
        same_ids,
        ids_with_dots,
        arguments_as_object,
        finish_of_another_world,
        bare_chunks,
        choices_null_with_usage,
        delta_null_at_the_end,
        empty_chunks_between,
        in_order,
        content_in_parts,
    )
}


# -- documents --------------------------------------------------------------------------------------------------------


def _each_call(change: Callable[[int, Row], None]) -> Callable[[Row], None]:
    def apply(reply: Row) -> None:
        for at, call in enumerate(reply["choices"][0]["message"].get("tool_calls") or ()):
            change(at, call)

    return apply


def _object_arguments(at: int, call: Row) -> None:
    call["function"]["arguments"] = json.loads(call["function"]["arguments"] or "{}")


def _without_id(at: int, call: Row) -> None:
    call.pop("id")
    call.pop("type")


def _bare_document(reply: Row) -> None:
    choice = reply["choices"][0]
    for key in ("logprobs", "index"):
        choice.pop(key)
    choice["message"].pop("refusal")
    for key in ("id", "object", "created", "service_tier", "system_fingerprint"):
        reply.pop(key)


def _parts_document(reply: Row) -> None:
    message = reply["choices"][0]["message"]
    if message["content"]:
        message["content"] = [{"type": "text", "text": message["content"]}]


def _finish_eos(reply: Row) -> None:
    choice = reply["choices"][0]
    choice["finish_reason"] = {"stop": "eos"}.get(choice["finish_reason"], choice["finish_reason"])


def _content_absent(reply: Row) -> None:
    message = reply["choices"][0]["message"]
    if not message["content"]:
        del message["content"]


DOCUMENTS: dict[str, Callable[[Row], None]] = {
    "arguments_as_object": _each_call(_object_arguments),
    "no_ids": _each_call(_without_id),
    "empty_ids": _each_call(lambda at, call: call.update(id="")),
    "same_ids": _each_call(lambda at, call: call.update(id="call_0")),
    "ids_with_dots": _each_call(lambda at, call: call.update(id=f"functions.{call['function']['name']}:{at}")),
    "bare_document": _bare_document,
    "content_in_parts": _parts_document,
    "content_absent": _content_absent,
    "finish_of_another_world": _finish_eos,
}
