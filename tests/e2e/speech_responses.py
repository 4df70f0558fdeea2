"""How OpenAI Responses is spoken in the matrix. Knows no feature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scripted.asked import Turn, Verbatim
from scripted.responses_asked import BODIES, BUILT_IN, read_responses, write_responses
from scripted.responses_output import shows_reasoning

from .speech import Meaning, Speech, canonical

_PARSED = ("parsed", "parsed_arguments")


def read_response(final: Mapping[str, Any]) -> Meaning:
    output = final["output"]
    parts = [p for item in output if item["type"] == "message" for p in item["content"]]
    thoughts = [s for item in output if item["type"] == "reasoning" for s in item.get("summary") or ()]
    usage = final.get("usage") or {}
    details = usage.get("input_tokens_details") or {}
    return Meaning(
        text="".join(p["text"] for p in parts if p["type"] == "output_text"),
        thinking="".join(s["text"] for s in thoughts),
        calls=tuple(called(item) for item in output if "call_id" in item),
        stop=(final.get("incomplete_details") or {}).get("reason") or final["status"],
        input=usage.get("input_tokens") or 0,
        cached=details.get("cached_tokens") or 0,
        written=details.get("cache_write_tokens") or 0,
        output=usage.get("output_tokens") or 0,
        refusal="".join(p["refusal"] for p in parts if p["type"] == "refusal"),
    )


def called(item: Mapping[str, Any]) -> tuple[str, str]:
    """(name, arguments) of a call of any kind."""
    match item["type"]:
        case "function_call":
            return item["name"], canonical(json.loads(item["arguments"] or "{}"))
        case "custom_tool_call":
            return item["name"], canonical({"input": item["input"]})
        case kind:
            return BUILT_IN[kind], canonical(item[BODIES[kind]])


def _replay(final: Mapping[str, Any]) -> Turn:
    """The output as it came, as the API's own guide has a program append it to its input."""
    return Turn("assistant", (Verbatim({"output": [_unparsed(item) for item in final["output"]]}),))


def _unparsed(value: Any) -> Any:
    """Without what the SDK added for its reader, and without what is null."""
    if isinstance(value, dict):
        return {k: _unparsed(v) for k, v in value.items() if v is not None and k not in _PARSED}
    return [_unparsed(v) for v in value] if isinstance(value, list) else value


RESPONSES = Speech(
    write=write_responses,
    hear=read_responses,
    read=read_response,
    replay=_replay,
    call_ids=lambda final: [item["call_id"] for item in final["output"] if "call_id" in item],
    stops={
        "end": "completed",
        "length": "max_output_tokens",
        "tools": "completed",
        "stop_sequence": "completed",
        "refusal": "content_filter",
    },
    input_is_all=True,
    models=("gpt-4.1", "gpt-5"),
    reasoned=lambda final: final["usage"]["output_tokens_details"]["reasoning_tokens"],
    shows=shows_reasoning,
    sayable=lambda asked: replace(asked, stops=()),
)
