"""A question in the Gemini dialect, both ways, beside those of `asked`. Knows nothing of a gateway.

Older models give their calls no ids: such a call is known here by its place, `~CONTENT~NUMBER~NAME`, on either side of the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .answer import Call, Document, Image, Part, Result, Text, Thinking
from .asked import Asked, Tool, Turn, Verbatim, merged
from .gemini_types import spelled

Body = dict[str, Any]
MODES = {"auto": "AUTO", "any": "ANY", "none": "NONE"}
PLACED = "~"


def write_gemini(asked: Asked, model: str) -> Body:
    """The model is a member here, because the SDK takes it beside the body and puts it into the path."""
    names = _names(asked.turns)
    body: Body = {"model": model, "contents": [_turn_to_content(t, names) for t in asked.turns]}
    if asked.system:
        body["systemInstruction"] = {"parts": [{"text": s} for s in asked.system]}
    if asked.tools:
        body["tools"] = [{"functionDeclarations": [_tool(t) for t in asked.tools]}]
    if asked.choice:
        kind, _, name = asked.choice.partition(":")
        calling: Body = {"mode": "ANY", "allowedFunctionNames": [name]} if name else {"mode": MODES[kind]}
        body["toolConfig"] = {"functionCallingConfig": calling}
    config: Body = {"maxOutputTokens": asked.max_tokens}
    plain = {"temperature": asked.temperature, "topP": asked.top_p, "stopSequences": list(asked.stops) or None}
    config |= {k: v for k, v in plain.items() if v is not None}
    if asked.budget or asked.effort:
        said = {"thinkingLevel": asked.effort.upper()} if asked.effort else {"thinkingBudget": asked.budget}
        config["thinkingConfig"] = {"includeThoughts": True, **said}
    if asked.schema is not None:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": dict(asked.schema)}
    body["generationConfig"] = config
    return body


def _tool(tool: Tool) -> Body:
    row: Body = {"name": tool.name, "parametersJsonSchema": dict(tool.schema)}
    return row | ({"description": tool.about} if tool.about else {})


def _names(turns: tuple[Turn, ...]) -> dict[str, str]:
    """The names of all calls, by id: a response says both."""
    names: dict[str, str] = {}
    for turn in turns:
        for part in turn.parts:
            match part:
                case Call():
                    names[part.id] = part.name
                case Verbatim(message):
                    names |= {c["id"]: c["name"] for c in calls_of(message) if c.get("id")}
    return names


def _turn_to_content(turn: Turn, names: Mapping[str, str]) -> Body:
    first = turn.parts[0]
    if isinstance(first, Verbatim):
        return dict(first.message)
    role = "model" if turn.role == "assistant" else "user"
    return {"role": role, "parts": [_part(p, names) for p in turn.parts]}


def _part(part: Any, names: Mapping[str, str]) -> Body:
    match part:
        case Text(text):
            return {"text": text}
        case Image(media, data, url):
            return {"fileData": {"fileUri": url, "mimeType": "image/png"}} if url else _blob(media, data)
        case Document(data, media, name):
            return _blob(media, data, name)
        case Call(name, args, id):
            return {"functionCall": {"id": id, "name": name, "args": json.loads(args) if isinstance(args, str) else dict(args)}}
        case Result(id, parts, failed):
            said = "".join(p.text for p in parts if isinstance(p, Text))
            response: Body = {"name": id.rpartition(PLACED)[2] if id.startswith(PLACED) else names[id]}
            response |= {} if id.startswith(PLACED) else {"id": id}
            response["response"] = {"error" if failed else "output": said}
            if shown := [_part(p, names) for p in parts if not isinstance(p, Text)]:
                response["parts"] = shown
            return {"functionResponse": response}
    raise TypeError(f"not a part of a Gemini request: {part!r}")


def _blob(media: str, data: str, name: str = "") -> Body:
    return {"inlineData": {"mimeType": media, "data": data, **({"displayName": name} if name else {})}}


def calls_of(content: Mapping[str, Any]) -> list[Body]:
    return [p["functionCall"] for p in content.get("parts") or () if "functionCall" in p]


def placed_ids(content: Mapping[str, Any], at: int = 0) -> list[str]:
    """The ids of a content's calls; a call without one is known by its place."""
    return [c.get("id") or f"{PLACED}{at}{PLACED}{k}{PLACED}{c['name']}" for k, c in enumerate(calls_of(content))]


# -- reading -----------------------------------------------------------------------------------------------------------


def read_gemini(body: Mapping[str, Any]) -> Asked:
    asked: Body = spelled(dict(body))
    config = asked.get("generationConfig") or {}
    thinking = config.get("thinkingConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return Asked(
        turns=read_contents(asked["contents"]),
        system=tuple(p["text"] for p in (asked.get("systemInstruction") or {}).get("parts", ())),
        tools=tuple(
            Tool(f["name"], f.get("description", ""), f.get("parametersJsonSchema") or f.get("parameters") or EMPTY_SCHEMA)
            for t in asked.get("tools") or ()
            for f in t.get("functionDeclarations") or ()
        ),
        choice=_read_choice((asked.get("toolConfig") or {}).get("functionCallingConfig") or {}),
        max_tokens=config.get("maxOutputTokens") or 0,
        temperature=config.get("temperature"),
        top_p=config.get("topP"),
        stops=tuple(config.get("stopSequences") or ()),
        effort=str(thinking.get("thinkingLevel") or "").lower(),
        budget=thinking.get("thinkingBudget") or 0,
        schema=schema,
    )


EMPTY_SCHEMA: Body = {"type": "object", "properties": {}}


def _read_choice(calling: Mapping[str, Any]) -> str:
    allowed = calling.get("allowedFunctionNames") or ()
    if len(allowed) == 1:
        return f"tool:{allowed[0]}"
    return {"AUTO": "auto", "ANY": "any", "NONE": "none"}.get(str(calling.get("mode") or "").upper(), "")


def read_contents(contents: list[Body]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    ids: list[tuple[str, str]] = []  # (name, id) of the calls that wait for their responses
    for at, content in enumerate(contents):
        parts: list[Part] = []
        made = placed_ids(content, at)
        for part in content.get("parts") or ():
            match part:
                case {"functionCall": call}:
                    parts.append(Call(call["name"], call.get("args") or {}, made.pop(0)))
                    ids.append((call["name"], parts[-1].id))
                case {"functionResponse": response}:
                    parts.append(_result(response, ids))
                case _:
                    parts.append(_read_part(part))
                    _take_name(parts)
        turns.append(Turn("assistant" if content.get("role") == "model" else "user", tuple(parts)))
    return merged(turns)


def _result(response: Body, ids: list[tuple[str, str]]) -> Result:
    fitting = [i for name, i in ids if name == response["name"] and response.get("id") in (None, i)]
    known = fitting[0] if fitting else response.get("id") or response["name"]
    ids[:] = [each for each in ids if each[1] != known]
    given = dict(response["response"])
    failed = "error" in given
    said = given.get("error" if failed else "output", given)
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    shown = [_read_part(p) for p in response.get("parts") or ()]
    return Result(known, (*((Text(text),) if text else ()), *shown), failed)  # type: ignore[arg-type]  # media only


def _take_name(parts: list[Part]) -> None:
    """A document whose name was said in a text before it."""
    match parts[-2:]:
        case [Text(said), Document(data, media, "")] if said.startswith(_NAMED):
            parts[-2:] = [Document(data, media, said.removeprefix(_NAMED))]


_NAMED = "Document: "


def _read_part(part: Body) -> Part:
    match part:
        case {"text": text}:
            return Thinking(text) if part.get("thought") else Text(text)
        case {"inlineData": {"mimeType": media, "data": data} as blob}:
            data = data.replace("-", "+").replace("_", "/")  # the SDK writes the url-safe alphabet
            return Image(media, data) if media.startswith("image/") else Document(data, media, blob.get("displayName") or "")
        case {"fileData": {"fileUri": uri}}:
            return Image(url=uri)
    return Text(f"<{next(iter(part), '')}>")
