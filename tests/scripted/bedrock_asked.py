"""What a caller asks for as a Converse request and back, as `asked.py` has it for the older dialects. `modelId` is in it, as in
boto3's arguments; on the wire it is in the path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .answer import Call, Document, Image, Part, Redacted, Result, Text, Thinking
from .asked import Asked, Tool, Turn, Verbatim, merged

FIELDS = "additionalModelRequestFields"
IMAGES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
DOCUMENTS = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}
_NO_LETTER = re.compile(r"[^A-Za-z0-9()\[\] -]+")


def _format(media: str, known: Mapping[str, str]) -> str:
    return next(word for word, kind in known.items() if kind == media)


# -- writing -----------------------------------------------------------------------------------------------------------


def write_converse(asked: Asked, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"modelId": model, "messages": [_turn_to_message(t) for t in asked.turns]}
    if asked.system:
        body["system"] = [{"text": s} for s in asked.system]
    config: dict[str, Any] = {"maxTokens": asked.max_tokens}
    plain = {"temperature": asked.temperature, "topP": asked.top_p, "stopSequences": list(asked.stops) or None}
    config |= {k: v for k, v in plain.items() if v is not None}
    body["inferenceConfig"] = config
    fields: dict[str, Any] = {}
    if asked.tools:
        body["toolConfig"] = {"tools": [_tool(t) for t in asked.tools]}
        kind, _, name = asked.choice.partition(":")
        if kind == "none":
            del body["toolConfig"]
        if kind in ("auto", "any", "tool"):
            body["toolConfig"]["toolChoice"] = {kind: {"name": name} if name else {}}
    if asked.parallel is False:
        fields["tool_choice"] = {"disable_parallel_tool_use": True}
        if "toolChoice" not in body["toolConfig"] or "auto" in body["toolConfig"]["toolChoice"]:
            body["toolConfig"].pop("toolChoice", None)
            fields["tool_choice"] = {"type": "auto", **fields["tool_choice"]}
    if asked.budget:
        fields["thinking"] = {"type": "enabled", "budget_tokens": asked.budget}
    output: dict[str, Any] = {"effort": asked.effort} if asked.effort else {}
    if asked.schema is not None:
        schema = {"schema": json.dumps(dict(asked.schema), ensure_ascii=False), "name": "answer"}
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    if output:
        body["outputConfig"] = output
    if fields:
        body[FIELDS] = fields
    if asked.stops:
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
    return body


def _tool(tool: Tool) -> dict[str, Any]:
    about = {"description": tool.about} if tool.about else {}
    strict = {"strict": True} if tool.strict else {}
    return {"toolSpec": {"name": tool.name, **about, "inputSchema": {"json": dict(tool.schema)}, **strict}}


def _turn_to_message(turn: Turn) -> dict[str, Any]:
    first = turn.parts[0]
    if isinstance(first, Verbatim):
        return dict(first.message)
    return {"role": turn.role, "content": [part_to_block(p) for p in turn.parts]}


def part_to_block(part: Any) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"text": text}
        case Image(media, data, _) if data:
            return {"image": {"format": _format(media, IMAGES), "source": {"bytes": data}}}
        case Document(data, media, name):
            return {"document": {"format": _format(media, DOCUMENTS), "name": plain_name(name), "source": {"bytes": data}}}
        case Call(name, args, id):
            given = json.loads(args) if isinstance(args, str) else dict(args)
            return {"toolUse": {"toolUseId": id, "name": name, "input": given}}
        case Result(id, parts, failed):
            status = {"status": "error"} if failed else {}
            content = [part_to_block(p) for p in parts if not (isinstance(p, Text) and not p.text)]
            return {"toolResult": {"toolUseId": id, "content": content, **status}}
    raise TypeError(f"not a part of a Converse request: {part!r}")


def plain_name(name: str) -> str:
    """A document's name as the service takes it: without its ending, of letters, digits, spaces, hyphens and brackets."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}\Z", "", name)
    return re.sub(r" {2,}", " ", _NO_LETTER.sub(" ", stem)).strip() or "document"


# -- reading -----------------------------------------------------------------------------------------------------------


def read_converse(body: Mapping[str, Any]) -> Asked:
    config = body.get("inferenceConfig") or {}
    fields = body.get(FIELDS) or {}
    output = body.get("outputConfig") or {}
    tools = body.get("toolConfig") or {}
    said = fields.get("tool_choice") or {}
    choice = tools.get("toolChoice") or ({said["type"]: said} if "type" in said else {})
    kind = next(iter(choice), "")
    shape = output.get("textFormat", {}).get("structure", {}).get("jsonSchema", {})
    own = (fields.get("output_config") or {}).get("format") or {}  # Claude's own way to the same
    return Asked(
        turns=merged(read_turns(body["messages"])),
        system=tuple(b["text"] for b in body.get("system", ()) if "text" in b),
        tools=tuple(_read_tool(t["toolSpec"]) for t in tools.get("tools", ()) if "toolSpec" in t),
        choice=f"tool:{choice['tool']['name']}" if kind == "tool" else kind,
        parallel=False if said.get("disable_parallel_tool_use") else None,
        max_tokens=config.get("maxTokens") or 0,
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stops=tuple(config.get("stopSequences", ())),
        effort=output.get("effort") or (fields.get("output_config") or {}).get("effort") or "",
        budget=(fields.get("thinking") or {}).get("budget_tokens", 0),
        schema=json.loads(shape["schema"]) if shape else own.get("schema"),
    )


def read_turns(messages: Iterable[Mapping[str, Any]]) -> list[Turn]:
    return [Turn(m["role"], tuple(p for b in m["content"] if (p := block_to_part(b)) is not None)) for m in messages]


def _read_tool(spec: Mapping[str, Any]) -> Tool:
    return Tool(spec["name"], spec.get("description", ""), spec["inputSchema"]["json"], bool(spec.get("strict")))


def block_to_part(block: Mapping[str, Any]) -> Part | None:
    """None for a cache point, which says nothing."""
    ((kind, inside),) = block.items()
    match kind:
        case "text":
            return Text(inside)
        case "image":
            return Image(IMAGES[inside["format"]], inside["source"]["bytes"])
        case "document":
            return Document(inside["source"].get("bytes", ""), DOCUMENTS[inside["format"]], inside["name"])
        case "toolUse":
            return Call(inside["name"], inside["input"], inside["toolUseId"])
        case "toolResult":
            parts = tuple(p for b in inside["content"] if (p := block_to_part(b)) is not None)
            return Result(inside["toolUseId"], parts, inside.get("status") == "error")  # type: ignore[arg-type]
        case "json":
            return Text(json.dumps(inside, ensure_ascii=False))
        case "citationsContent":
            return Text("".join(c["text"] for c in inside["content"]))
        case "reasoningContent":
            if "redactedContent" in inside:
                return Redacted(inside["redactedContent"])
            return Thinking(inside["reasoningText"]["text"])
        case "cachePoint":
            return None
    return Text(f"<{kind}>")


def shows_thinking(body: Mapping[str, Any]) -> bool:
    """Whether Claude is asked to think: by the body of Converse or, of InvokeModel, of its own."""
    thinking = (body.get(FIELDS) or body).get("thinking") or {}
    return thinking.get("type") in ("enabled", "adaptive")
