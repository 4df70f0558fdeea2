"""A question in the OpenAI Responses dialect: written as its client does, read as its upstream hears it. Knows no gateway."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .answer import Call, Document, Image, Part, Redacted, Result, Text, Thinking
from .asked import Asked, Tool, Turn, Verbatim, merged

Item = dict[str, Any]
ENCRYPTED = "reasoning.encrypted_content"
LEAST_TOKENS = 16
_DATA = re.compile(r"data:([^;]+);base64,(.*)\Z", re.DOTALL)
OUTPUTS = {
    "custom_tool_call": "custom_tool_call_output",
    "local_shell_call": "local_shell_call_output",
    "shell_call": "shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
}
"""What answers a call, where it is not function_call_output."""
BUILT_IN = {"local_shell_call": "local_shell", "shell_call": "shell", "apply_patch_call": "apply_patch"}
BODIES = {"local_shell_call": "action", "shell_call": "action", "apply_patch_call": "operation"}
"""The member that holds what a built-in tool is to do."""


# -- the client's side ------------------------------------------------------------------------------------------------


def write_responses(asked: Asked, model: str) -> dict[str, Any]:
    """One system text is `instructions`, several are messages. Stop sequences are not there: the dialect has none."""
    body: dict[str, Any] = {"model": model, "max_output_tokens": max(LEAST_TOKENS, asked.max_tokens)}
    items: list[Item] = []
    if len(asked.system) == 1:
        body["instructions"] = asked.system[0]
    else:
        items += [{"role": "system", "content": s} for s in asked.system]
    for turn in asked.turns:
        items += _write_turn(turn, items)
    body["input"] = items
    if asked.tools:
        body["tools"] = [_write_tool(t) for t in asked.tools]
    if asked.choice:
        kind, _, name = asked.choice.partition(":")
        body["tool_choice"] = {"type": "function", "name": name} if name else {"any": "required"}.get(kind, kind)
    plain = {"parallel_tool_calls": asked.parallel, "temperature": asked.temperature, "top_p": asked.top_p}
    body |= {k: v for k, v in plain.items() if v is not None}
    if asked.effort or asked.budget:
        body["reasoning"] = {"effort": asked.effort or "medium", "summary": "auto"}
        body["include"] = [ENCRYPTED]
    if asked.schema is not None:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": dict(asked.schema)}}
    if asked.user:
        body["user"] = asked.user
    return body


def _write_tool(tool: Tool) -> Item:
    row = {"type": "function", "name": tool.name, "parameters": dict(tool.schema), "strict": tool.strict}
    return row | ({"description": tool.about} if tool.about else {})


def _write_turn(turn: Turn, before: list[Item]) -> list[Item]:
    first = turn.parts[0]
    if isinstance(first, Verbatim):
        return [dict(item) for item in first.message["output"]]
    kinds = {i["call_id"]: i["type"] for i in before if "call_id" in i}
    rows: list[Item] = []
    content: list[Item] = []
    for part in turn.parts:
        match part:
            case Result():
                rows.append(_write_result(part, OUTPUTS.get(kinds.get(part.id, ""), "function_call_output")))
            case Call():
                rows += _message(turn.role, content)
                content = []
                rows.append({"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.json})
            case Text() | Image() | Document():
                content.append(part_to_content(part, turn.role))
    return [*rows, *_message(turn.role, content)]


def _message(role: str, content: list[Item]) -> list[Item]:
    if not content:
        return []
    plain = len(content) == 1 and "text" in content[0]
    return [{"role": role, "content": content[0]["text"] if plain else content}]


def _write_result(result: Result, kind: str) -> Item:
    content: Any = [part_to_content(p, "user") for p in result.parts]
    if all(isinstance(p, Text) for p in result.parts):
        content = "".join(p.text for p in result.parts if isinstance(p, Text))
    return {"type": kind, "call_id": result.id, "output": content}


def part_to_content(part: Any, role: str) -> Item:
    match part:
        case Text(text) if role == "assistant":
            return {"type": "output_text", "text": text, "annotations": []}
        case Text(text):
            return {"type": "input_text", "text": text}
        case Image(media, data, url):
            return {"type": "input_image", "detail": "auto", "image_url": url or f"data:{media};base64,{data}"}
        case Document(data, media, name):
            return {"type": "input_file", "filename": name or "document.pdf", "file_data": f"data:{media};base64,{data}"}
    raise TypeError(f"not a part of a Responses request: {part!r}")


# -- the upstream's side ----------------------------------------------------------------------------------------------


def items_of(body: Mapping[str, Any]) -> list[Item]:
    given = body.get("input") or ()
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given)


def read_responses(body: Mapping[str, Any]) -> Asked:
    turns: list[Turn] = []
    system = [body["instructions"]] if body.get("instructions") else []
    for item in items_of(body):
        turn = item_to_turn(item)
        if turn is None:
            continue
        if turn.role == "system" and not turns:
            system += [p.text for p in turn.parts if isinstance(p, Text)]
        else:
            turns.append(turn)
    form = (body.get("text") or {}).get("format") or {}
    reasoning = body.get("reasoning") or {}
    return Asked(
        turns=merged(turns),
        system=tuple(system),
        tools=tuple(_read_tool(t) for t in every_tool(body) if "name" in t),
        choice=_read_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls"),
        max_tokens=body.get("max_output_tokens") or 0,
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        effort=reasoning.get("effort") or "",
        schema=form.get("schema"),
        user=body.get("user") or body.get("safety_identifier") or "",
    )


def every_tool(body: Mapping[str, Any]) -> list[Item]:
    """The tools that a request offers, those in namespaces and those that an item of the input brings among them.

    One in a namespace has that name as `namespace`.
    """
    brought = [t for i in items_of(body) if i.get("type") == "additional_tools" for t in i["tools"]]
    rows: list[Item] = []
    for tool in (*(body.get("tools") or ()), *brought):
        if tool["type"] == "namespace":
            rows += [{**inner, "namespace": tool["name"]} for inner in tool["tools"]]
        else:
            rows.append(tool)
    return rows


def _read_tool(tool: Item) -> Tool:
    return Tool(tool["name"], tool.get("description") or "", tool.get("parameters") or {}, tool.get("strict") is not False)


def _read_choice(choice: Any) -> str:
    if isinstance(choice, dict):
        return f"tool:{choice['name']}" if "name" in choice else str(choice["type"])
    return {"required": "any"}.get(choice or "", choice or "")


def item_to_turn(item: Mapping[str, Any]) -> Turn | None:
    kind = item.get("type") or "message"
    match kind:
        case "message":
            role = {"developer": "system"}.get(item["role"], item["role"])
            parts = (content_to_part(p) for p in _contents(item["content"]))
            return Turn(role, tuple(p for p in parts if not (isinstance(p, Text) and not p.text)))
        case "reasoning":
            text = "".join(s["text"] for s in item.get("summary") or ())
            sealed = item.get("encrypted_content") or ""
            return Turn("assistant", (Thinking(text) if text else Redacted(sealed),))
        case "function_call":
            return Turn("assistant", (Call(item["name"], _arguments(item["arguments"]), item["call_id"]),))
        case "custom_tool_call":
            return Turn("assistant", (Call(item["name"], {"input": item["input"]}, item["call_id"]),))
        case "local_shell_call" | "shell_call" | "apply_patch_call":
            return Turn("assistant", (Call(BUILT_IN[kind], item[BODIES[kind]], item["call_id"]),))
        case _ if kind.endswith("_output"):
            return Turn("user", (_read_result(item),))
    return None


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _read_result(item: Mapping[str, Any]) -> Result:
    output = item.get("output") or ""
    parts = tuple(content_to_part(p) for p in _contents(output))
    return Result(item.get("call_id") or item.get("id") or "", parts)  # type: ignore[arg-type]


def _contents(content: Any) -> Iterable[Item]:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else list(content or ())


def content_to_part(part: Mapping[str, Any]) -> Part:
    match part.get("type"):
        case "input_text" | "output_text":
            return Text(part["text"])
        case "refusal":
            return Text(part["refusal"])
        case "input_image" if part.get("image_url"):
            found = _DATA.match(part["image_url"])
            return Image(found[1], found[2]) if found else Image(url=part["image_url"])
        case "input_file":
            found = _DATA.match(part.get("file_data") or "")
            kind, data = (found[1], found[2]) if found else ("", "")
            return Document(data, kind, part.get("filename") or "")
    return Text(json.dumps(part, ensure_ascii=False) if "stdout" in part else f"<{part.get('type')}>")
