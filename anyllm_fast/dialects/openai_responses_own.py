"""Writes back what was read from OpenAI Responses, as OpenAI Responses: items, tools and their members as the client had them.

Reads nothing. A turn that was made or changed behind the reader's back no longer fits its items; then it has none.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.arguments import arguments_of, string_of_arguments
from anyllm_fast.dialects.openai_responses_items import INPUT, Item, ItemTurn
from anyllm_fast.dialects.openai_responses_tools import AnyTool, is_late
from anyllm_fast.neutral.losses import Where, dotted
from anyllm_fast.neutral.members import decode_object, is_string, refuse
from anyllm_fast.neutral.outgoing import Json
from anyllm_fast.neutral.request import CustomTool, Foreign, Part, Refusal, Request, ServerTool, Text, Tool, ToolCall, ToolResult

_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode
_CHANGED: Final = "the turn no longer fits the items that it was read from"


def write_input(request: Request) -> Raw | list[Json | Raw]:
    turns = request.turns
    first = turns[0] if turns else None
    if first is not None and len(turns) == 1 and first.where == INPUT and isinstance(first.parts[0], Text):
        return first.parts[0].text
    items: list[Json | Raw] = []
    for turn in turns:
        if not isinstance(turn, ItemTurn) or sum(item.size for item in turn.items) != len(turn.parts):
            raise refuse(turn.where, _CHANGED)
        parts = iter(turn.parts)
        items += [_item(item, list(islice(parts, item.size))) for item in turn.items]
    return items


def _item(item: Item, parts: list[Part]) -> Json | Raw:
    if item.whole:
        return {**item.members}
    if not item.members and isinstance(parts[0], Foreign):
        return parts[0].raw
    match parts:
        case [ToolCall() as call]:
            return {**item.members, **_arguments(item.members, call)}
        case [ToolResult() as result]:
            return {**item.members, "output": _content(result.parts, item)}
    return {**item.members, "content": _content(parts, item)}


def _arguments(members: Json, call: ToolCall) -> Json:
    """The arguments as they were spelled, as long as they say the same."""
    if call.custom:
        return {"input": call.args}
    said = members.get("arguments")
    if said is None or not is_string(said) or arguments_of(said) == call.args:
        return {}
    return {"arguments": string_of_arguments(call.args)}


def _content(parts: list[Part], item: Item) -> Raw | list[Json | Raw]:
    if item.shells is None:
        text = parts[0]
        return text.text if isinstance(text, Text) else Raw(b'""')
    if len(item.shells) != len(parts):
        raise refuse(parts[0].where if parts else (), _CHANGED)
    out: list[Json | Raw] = []
    for part, shell in zip(parts, item.shells, strict=True):
        match part:
            case Text():
                out.append({**shell, "text": part.text})
            case Refusal():
                out.append({**shell, "refusal": part.text})
            case _:
                out.append({**shell})
    return out


# -- tools -------------------------------------------------------------------------------------------------------------


def write_own_tools(request: Request, kept: dict[str, Raw]) -> list[Json | Raw] | None:
    """`tools` without those that came in the input; None where there was none."""
    if request.tools is None:
        return None
    out: list[Json | Raw] = []
    spaces: dict[str, list[Json | Raw]] = {}
    for tool in request.tools:
        if is_late(tool):
            continue
        space: Where = tool.where[0][0] if tool.where and tool.where[0] else ()
        raw = kept.get(dotted(tool.where))
        if raw is not None:
            out.append(raw)
        elif space and dotted(space) in kept:
            label = dotted(space)
            if label not in spaces:
                spaces[label] = []
                out.append({**decode_object(kept[label]), "tools": spaces[label]})
            spaces[label].append(_inside(tool, kept[label]))
        else:
            out.append(_tool(tool))
    return out if out or not request.tools else None


def _inside(tool: AnyTool, space: Raw) -> Raw:
    """A tool in a namespace, under its own name."""
    place = tool.where[1] if tool.where else 0
    return _decode_array(decode_object(space)["tools"])[int(place)]


def _tool(tool: AnyTool) -> Json | Raw:
    if isinstance(tool, ServerTool):
        return tool.raw
    out: Json = {"type": "custom" if isinstance(tool, CustomTool) else "function", "name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if isinstance(tool, CustomTool) and tool.format is not None:
        out["format"] = tool.format
    if isinstance(tool, Tool):
        if tool.schema is not None:
            out["parameters"] = tool.schema
        if tool.strict is not None:
            out["strict"] = tool.strict
    return {**out, **tool.private}
