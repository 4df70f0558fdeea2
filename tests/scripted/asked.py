"""What a caller asks for, before and after a dialect: `write_*` is the client's side, `read_*` the upstream's.

Both directions are here so that `read(write(x)) == x` can be held against the harness itself. Knows nothing of a gateway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .answer import Call, Document, Image, Part, Redacted, Result, Text, Thinking


@dataclass(frozen=True)
class Tool:
    name: str
    about: str = ""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool = False


@dataclass(frozen=True)
class Verbatim:
    """A message in the dialect of the client, as its SDK gave it: replayed without being looked at."""

    message: Mapping[str, Any]


@dataclass(frozen=True)
class Turn:
    role: str
    parts: tuple[Part | Verbatim, ...]


@dataclass(frozen=True)
class Asked:
    turns: tuple[Turn, ...] = ()
    system: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    choice: str = ""  # auto, any, none, tool:NAME
    parallel: bool | None = None
    max_tokens: int = 500
    temperature: float | None = None
    top_p: float | None = None
    stops: tuple[str, ...] = ()
    effort: str = ""  # reasoning_effort / output_config.effort
    budget: int = 0  # thinking.budget_tokens
    schema: Mapping[str, Any] | None = None  # of a structured answer
    user: str = ""

    def prompted(self, directive: str) -> Asked:
        """The same with `directive` at the end of the last user text."""
        turns = list(self.turns)
        for at in range(len(turns) - 1, -1, -1):
            parts = list(turns[at].parts)
            for i in range(len(parts) - 1, -1, -1):
                part = parts[i]
                if turns[at].role == "user" and isinstance(part, Text):
                    parts[i] = replace(part, text=f"{part.text} {directive}")
                    turns[at] = replace(turns[at], parts=tuple(parts))
                    return replace(self, turns=tuple(turns))
        raise ValueError("no user text to put the script in")


def user(*parts: Part | str) -> Turn:
    return Turn("user", _parts(parts))


def assistant(*parts: Part | str) -> Turn:
    return Turn("assistant", _parts(parts))


def _parts(parts: Iterable[Part | str]) -> tuple[Part, ...]:
    return tuple(Text(p) if isinstance(p, str) else p for p in parts)


# -- Anthropic Messages -----------------------------------------------------------------------------------------------


def write_messages(asked: Asked, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "max_tokens": asked.max_tokens}
    body["messages"] = [_turn_to_message(t) for t in asked.turns]
    if len(asked.system) == 1:
        body["system"] = asked.system[0]
    elif asked.system:
        body["system"] = [{"type": "text", "text": s} for s in asked.system]
    if asked.tools:
        body["tools"] = [_tool_to_messages(t) for t in asked.tools]
    if asked.choice or asked.parallel is not None:
        kind, _, name = (asked.choice or "auto").partition(":")
        choice: dict[str, Any] = {"type": kind, **({"name": name} if name else {})}
        if asked.parallel is not None:
            choice["disable_parallel_tool_use"] = not asked.parallel
        body["tool_choice"] = choice
    plain = {"temperature": asked.temperature, "top_p": asked.top_p}
    body |= {k: v for k, v in plain.items() if v is not None}
    if asked.stops:
        body["stop_sequences"] = list(asked.stops)
    if asked.budget:
        body["thinking"] = {"type": "enabled", "budget_tokens": asked.budget}
    output: dict[str, Any] = {"effort": asked.effort} if asked.effort else {}
    if asked.schema is not None:
        output["format"] = {"type": "json_schema", "schema": dict(asked.schema)}
    if output:
        body["output_config"] = output
    if asked.user:
        body["metadata"] = {"user_id": asked.user}
    return body


def _tool_to_messages(tool: Tool) -> dict[str, Any]:
    row: dict[str, Any] = {"name": tool.name, "input_schema": dict(tool.schema)}
    return row | ({"description": tool.about} if tool.about else {}) | ({"strict": True} if tool.strict else {})


def _turn_to_message(turn: Turn) -> dict[str, Any]:
    first = turn.parts[0]
    if isinstance(first, Verbatim):
        return dict(first.message)
    if len(turn.parts) == 1 and isinstance(first, Text):
        return {"role": turn.role, "content": first.text}
    return {"role": turn.role, "content": [part_to_block(p) for p in turn.parts]}


def part_to_block(part: Any) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media, data, url):
            source = {"type": "url", "url": url} if url else {"type": "base64", "media_type": media, "data": data}
            return {"type": "image", "source": source}
        case Document(data, media, name):
            title = {"title": name} if name else {}
            return {"type": "document", "source": {"type": "base64", "media_type": media, "data": data}, **title}
        case Call(name, args, id):
            return {
                "type": "tool_use",
                "id": id,
                "name": name,
                "input": json.loads(args) if isinstance(args, str) else dict(args),
            }
        case Result(id, parts, failed):
            content: Any = [part_to_block(p) for p in parts]
            if len(parts) == 1 and isinstance(parts[0], Text):
                content = parts[0].text
            failure = {"is_error": True} if failed else {}
            return {"type": "tool_result", "tool_use_id": id, "content": content, **failure}
    raise TypeError(f"not a part of a Messages request: {part!r}")


def read_messages(body: Mapping[str, Any]) -> Asked:
    system = body.get("system", ())
    turns: list[Turn] = []
    for message in body["messages"]:
        if message["role"] == "system":
            texts = [b["text"] for b in _blocks(message["content"])]
            turns.append(Turn("system", tuple(Text(t) for t in texts)))
        else:
            turns.append(Turn(message["role"], tuple(block_to_part(b) for b in _blocks(message["content"]))))
    choice = body.get("tool_choice") or {}
    kind = choice.get("type", "")
    no_parallel = choice.get("disable_parallel_tool_use")
    output = body.get("output_config") or {}
    thinking = body.get("thinking") or {}
    return Asked(
        turns=merged(turns),
        system=(system,) if isinstance(system, str) else tuple(b["text"] for b in system),
        tools=tuple(
            Tool(t["name"], t.get("description", ""), t.get("input_schema", {}), bool(t.get("strict")))
            for t in body.get("tools", ())
        ),
        choice=f"tool:{choice['name']}" if kind == "tool" else kind,
        parallel=None if no_parallel is None else not no_parallel,
        max_tokens=body["max_tokens"],
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stops=tuple(body.get("stop_sequences", ())),
        effort=output.get("effort") or "",
        budget=thinking.get("budget_tokens", 0),
        schema=(output.get("format") or {}).get("schema"),
        user=(body.get("metadata") or {}).get("user_id") or "",
    )


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def block_to_part(block: Mapping[str, Any]) -> Part:
    match block["type"]:
        case "text":
            return Text(block["text"])
        case "image":
            source = block["source"]
            return Image(url=source["url"]) if source["type"] == "url" else Image(source["media_type"], source["data"])
        case "document":
            source = block["source"]
            return Document(source.get("data", ""), source.get("media_type", ""), block.get("title") or "")
        case "tool_use":
            return Call(block["name"], block["input"], block["id"])
        case "tool_result":
            inner = tuple(block_to_part(b) for b in _blocks(block.get("content")))
            return Result(block["tool_use_id"], inner, bool(block.get("is_error")))  # type: ignore[arg-type]
        case "thinking":
            return Thinking(block["thinking"])
        case "redacted_thinking":
            return Redacted(block["data"])
    return Text(f"<{block['type']}>")


# -- OpenAI Chat ------------------------------------------------------------------------------------------------------


def write_chat(asked: Asked, model: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": s} for s in asked.system]
    for turn in asked.turns:
        messages += _turn_to_chat(turn)
    bound = "max_completion_tokens"
    body: dict[str, Any] = {"model": model, bound: asked.max_tokens, "messages": messages}
    if asked.tools:
        body["tools"] = [_tool_to_chat(t) for t in asked.tools]
    if asked.choice:
        kind, _, name = asked.choice.partition(":")
        named = {"type": "function", "function": {"name": name}}
        body["tool_choice"] = named if name else {"any": "required"}.get(kind, kind)
    plain = {"parallel_tool_calls": asked.parallel, "temperature": asked.temperature, "top_p": asked.top_p}
    body |= {k: v for k, v in plain.items() if v is not None}
    if asked.stops:
        body["stop"] = list(asked.stops) if len(asked.stops) > 1 else asked.stops[0]
    if asked.effort:
        body["reasoning_effort"] = asked.effort
    if asked.schema is not None:
        spec = {"name": "answer", "strict": True, "schema": dict(asked.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": spec}
    if asked.user:
        body["user"] = asked.user
    return body


def _tool_to_chat(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": dict(tool.schema)}
    function |= ({"description": tool.about} if tool.about else {}) | ({"strict": True} if tool.strict else {})
    return {"type": "function", "function": function}


def _turn_to_chat(turn: Turn) -> list[dict[str, Any]]:
    first = turn.parts[0]
    if isinstance(first, Verbatim):
        return [dict(first.message)]
    results = [p for p in turn.parts if isinstance(p, Result)]
    others = [p for p in turn.parts if not isinstance(p, Result)]
    rows: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": r.id, "content": "".join(p.text for p in r.parts if isinstance(p, Text))}
        for r in results
    ]
    if not others:
        return rows
    calls = [p for p in others if isinstance(p, Call)]
    content = [part_to_content(p) for p in others if not isinstance(p, Call | Thinking | Redacted)]
    row: dict[str, Any] = {"role": turn.role, "content": content or None}
    if len(content) == 1 and content[0]["type"] == "text":
        row["content"] = content[0]["text"]
    if calls:
        row["tool_calls"] = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.json}} for c in calls]
    return [*rows, row]


def part_to_content(part: Any) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media, data, url):
            return {"type": "image_url", "image_url": {"url": url or f"data:{media};base64,{data}"}}
        case Document(data, media, name):
            held = {"filename": name or "document.pdf", "file_data": f"data:{media};base64,{data}"}
            return {"type": "file", "file": held}
    raise TypeError(f"not a part of a Chat request: {part!r}")


def read_chat(body: Mapping[str, Any]) -> Asked:
    turns: list[Turn] = []
    system: list[str] = []
    for at, message in enumerate(body["messages"]):
        if message["role"] in ("system", "developer"):
            texts = [p["text"] for p in _contents(message["content"])]
            if any(t.role != "system" for t in turns) and at:
                turns.append(Turn("system", tuple(Text(t) for t in texts)))
            else:
                system += texts
        else:
            turns.append(_message_to_turn(message))
    form = body.get("response_format") or {}
    return Asked(
        turns=merged(turns),
        system=tuple(system),
        tools=tuple(
            Tool(f["name"], f.get("description", ""), f.get("parameters", {}), bool(f.get("strict")))
            for f in (t["function"] for t in body.get("tools", ()) if t["type"] == "function")
        ),
        choice=_read_choice(body.get("tool_choice")),
        parallel=body.get("parallel_tool_calls"),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens") or 0,
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stops=(body["stop"],) if isinstance(body.get("stop"), str) else tuple(body.get("stop") or ()),
        effort=body.get("reasoning_effort") or "",
        schema=(form.get("json_schema") or {}).get("schema"),
        user=body.get("user") or body.get("safety_identifier") or "",
    )


def _read_choice(choice: Any) -> str:
    if isinstance(choice, dict):
        return f"tool:{choice['function']['name']}" if choice["type"] == "function" else str(choice["type"])
    return {"required": "any"}.get(choice or "", choice or "")


def _contents(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _message_to_turn(message: Mapping[str, Any]) -> Turn:
    parts = [content_to_part(p) for p in _contents(message.get("content"))]
    if message["role"] == "tool":
        return Turn("user", (Result(message["tool_call_id"], tuple(parts)),))  # type: ignore[arg-type]
    if thinking := message.get("reasoning_content") or message.get("reasoning"):
        parts.insert(0, Thinking(thinking))
    for call in message.get("tool_calls", ()):
        function = call["function"]
        parts.append(Call(function["name"], json.loads(function["arguments"] or "{}"), call["id"]))
    return Turn(message["role"], tuple(p for p in parts if not (isinstance(p, Text) and not p.text)))


def content_to_part(part: Mapping[str, Any]) -> Part:
    match part["type"]:
        case "text":
            return Text(part["text"])
        case "image_url":
            url = part["image_url"]["url"]
            match = re.match(r"data:([^;]+);base64,(.*)\Z", url, re.DOTALL)
            return Image(match[1], match[2]) if match else Image(url=url)
        case "file":
            match = re.match(r"data:([^;]+);base64,(.*)\Z", part["file"].get("file_data", ""), re.DOTALL)
            kind, data = (match[1], match[2]) if match else ("", "")
            return Document(data, kind, part["file"].get("filename", ""))
        case "refusal":
            return Text(part["refusal"])
    return Text(f"<{part['type']}>")


def merged(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Consecutive turns of one role as one: the two dialects disagree only about where messages end."""
    out: list[Turn] = []
    for turn in turns:
        if out and out[-1].role == turn.role:
            out[-1] = Turn(turn.role, out[-1].parts + turn.parts)
        else:
            out.append(turn)
    return tuple(out)
