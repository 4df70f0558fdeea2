"""Tools and tool_choice of Anthropic Messages, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_blocks import NAME_LIMIT
from anyllm_fast.dialects.anthropic_cache import take_cache, write_mark
from anyllm_fast.dialects.anthropic_content import found_tools
from anyllm_fast.neutral.custom_tools import as_function
from anyllm_fast.neutral.losses import ROOT, Where, dotted
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    refuse,
    take,
    take_flag,
    take_object,
    take_string,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CustomTool, Foreign, Members, Request, ServerTool, Tool, ToolChoice, Turn

AnyTool = Tool | ServerTool | CustomTool

_NO_ARGUMENTS: Final = Raw(b'{"type":"object","properties":{}}')
_DIRECT: Final = b'["direct"]'
_TRUE: Final = Raw(b"true")
_HOSTED: Final = {
    "web_search": "web_search_20250305",
    "web_fetch": "web_fetch_20250910",
    "code_execution": "code_execution_20250825",
}
"""The tools that the API runs itself and that others have too, in the versions that need no beta header."""
_BUILT_IN: Final = re.compile(
    r"(web_search|web_fetch|code_execution|tool_search_tool_\w+|bash|text_editor|computer|memory)_\d{8}"
)
_SERVER: Final = re.compile(r"(web_search|web_fetch|code_execution|tool_search_tool_\w+?)_?(\d{8})?")


def read_tools(given: list[Members] | None, request: Request) -> None:
    where: Where = (ROOT, "tools")
    tools = [_read_tool(item, (where, index)) for index, item in enumerate(given or ())]
    known = {bytes(tool.name) for tool in tools if isinstance(tool, Tool | CustomTool)}
    late = list(_defined(request.turns, known))
    if given is None and not late:
        return
    request.tools = tools = [*tools, *late]
    deferred = [tool for tool in tools if type(tool) is Tool and tool.deferred]
    if deferred:
        searched = any(type(tool) is ServerTool and tool.type.startswith("tool_search_tool") for tool in tools)
        names = found_tools(request.turns)
        for tool in deferred:
            tool.found = searched or text_of(tool.name) in names


def _defined(turns: list[Turn], known: set[bytes]) -> Iterator[AnyTool]:
    """Tools that the messages define where they make them known. One that has the name of another is announced."""
    for turn in turns:
        for part in turn.parts:
            if type(part) is not Foreign or part.type != "tool_addition":
                continue
            here: Where = (part.where, "tool")
            inside = open_object(need(open_object(part.raw, part.where), "tool", "an object", part.where), here)
            definition = take_object(inside, "definition", here)
            if definition is None:
                continue
            place: Where = (here, "definition")
            tool = _read_tool(open_object(definition, place), place)
            if isinstance(tool, Tool):
                if tool.deferred:  # it is offered from there on
                    tool.deferred = False
                    part.unsaid = [*part.unsaid, (place, "defer_loading")]
                if bytes(tool.name) in known:
                    part.unsaid = [*part.unsaid, place]
                    continue
                known.add(bytes(tool.name))
            yield tool


def _is_late(tool: AnyTool) -> bool:
    """Whether a message defines it, with which it goes back to this dialect."""
    return dotted(tool.where).startswith("messages.")


def _read_tool(members: Members, where: Where) -> AnyTool:
    kind = members.pop("type", None)
    if kind is None or bytes(kind) in (b'"custom"', b"null"):
        return _read_function(members, where)
    if not is_string(kind):
        raise wrong(kind, "a string", (where, "type"))
    return _read_server_tool(text_of(kind), members, where)


def _read_function(members: Members, where: Where) -> Tool:
    tool = Tool(name=need_string(members, "name", where), where=where)
    tool.description = take_string(members, "description", where)
    tool.schema = need(members, "input_schema", "an object", where)
    if memoryview(tool.schema)[0] != 0x7B:
        raise wrong(tool.schema, "an object", (where, "input_schema"))
    if members:
        strict = take_flag(members, "strict", where)
        tool.strict = None if strict is None else Raw(encode(strict))
        tool.deferred = take_flag(members, "defer_loading", where) or False
        tool.cache = take_cache(members, where)
        if bytes(members.get("allowed_callers", b"")) == _DIRECT:
            del members["allowed_callers"]
        tool.private = leftovers(members)
    return tool


def _read_server_tool(kind: str, members: Members, where: Where) -> ServerTool:
    """A tool whose schema Anthropic knows: run by its servers, or (bash, computer, text editor, memory) by the client."""
    tool = ServerTool(type=kind, raw=Raw(encode({"type": kind, **members})), where=where)
    match = _SERVER.fullmatch(kind)
    if match and match[1] in ("web_search", "web_fetch", "code_execution"):
        tool.kind = match[1]  # type: ignore[assignment]  # one of the three literals
    members.pop("name", None)
    tool.cache = take_cache(members, where)
    tool.allowed_domains = take(members, "allowed_domains")
    tool.blocked_domains = take(members, "blocked_domains")
    tool.max_uses = take(members, "max_uses")
    tool.user_location = take_object(members, "user_location", where)
    tool.private = leftovers(members)
    return tool


def read_tool_choice(members: Members, request: Request) -> None:
    raw = take(members, "tool_choice")
    if raw is None:
        return
    where: Where = (ROOT, "tool_choice")
    inside = open_object(raw, where)
    kind = need_text(inside, "type", where)
    mode = _MODES.get(kind)
    if mode is None:
        raise refuse((where, "type"), f"expected auto, any, tool or none, got {kind!r}")
    choice = ToolChoice(mode=mode, where=where)  # type: ignore[arg-type]  # a value of _MODES
    if kind == "tool":
        choice.name = need_string(inside, "name", where)
    alone = take_flag(inside, "disable_parallel_tool_use", where)
    if alone is not None:
        request.parallel_tools = not alone
        request.where["parallel_tools"] = (where, "disable_parallel_tool_use")
    choice.private = leftovers(inside)
    request.tool_choice = choice


_MODES: Final = {"auto": "auto", "any": "required", "tool": "tool", "none": "none"}


def write_tools(out: Json, outgoing: Outgoing) -> None:
    """`tools` and `tool_choice`."""
    request = outgoing.request
    choice = request.tool_choice
    tools = request.tools or []
    if choice is not None and choice.mode == "allowed":
        tools = [tool for tool in tools if isinstance(tool, ServerTool) or text_of(tool.name) in choice.names]
    tools = [tool for tool in tools if not (outgoing.own and _is_late(tool))]
    said = [written for tool in tools if (written := _write_tool(tool, outgoing)) is not None]
    if said or (outgoing.own and request.tools is not None and not any(map(_is_late, request.tools))):
        out["tools"] = said
    if said or outgoing.own:
        _write_choice(out, outgoing)
    elif choice is not None and choice.mode not in ("auto", "none"):
        outgoing.lose(choice.where, "there are no tools to choose from")


def _write_tool(tool: AnyTool, outgoing: Outgoing) -> Json | Raw | None:
    match tool:
        case Tool():
            return _write_function(tool, outgoing)
        case ServerTool():
            return _write_server_tool(tool, outgoing)
        case CustomTool():
            outgoing.private({}, tool.private, tool.where)
            outgoing.inner({}, tool.inner, tool.where)
            return _write_function(as_function(tool), outgoing)


def _write_function(tool: Tool, outgoing: Outgoing) -> Json:
    out: Json = {"name": outgoing.tool_name(tool.name, tool.where, NAME_LIMIT)}
    if tool.description is not None:
        out["description"] = tool.description
    out["input_schema"] = tool.schema if tool.schema is not None else _NO_ARGUMENTS
    if tool.strict is not None and (outgoing.own or tool.strict == _TRUE):
        out["strict"] = tool.strict
    if tool.deferred:
        out["defer_loading"] = True
    write_mark(out, tool.cache, outgoing)
    outgoing.private(out, tool.private, tool.where)
    outgoing.inner(out, tool.inner, tool.where)
    return out


def _write_server_tool(tool: ServerTool, outgoing: Outgoing) -> Json | Raw | None:
    """A tool of Anthropic's own may also be asked for by its own name in another dialect, as LiteLLM's clients do."""
    if outgoing.own or _BUILT_IN.fullmatch(tool.type):
        return tool.raw
    if tool.kind not in _HOSTED:
        outgoing.lose(tool.where, f"the target has no {tool.type} tool")
        return None
    out: Json = {"type": _HOSTED[tool.kind], "name": tool.kind}
    for name, value in (
        ("allowed_domains", tool.allowed_domains),
        ("blocked_domains", tool.blocked_domains),
        ("max_uses", tool.max_uses),
        ("user_location", tool.user_location),
    ):
        if value is not None:
            out[name] = value
    if tool.context_size is not None and bytes(tool.context_size) != b'"medium"':
        outgoing.lose(tool.path("context_size"))
    outgoing.private(out, tool.private, tool.where)
    return out


def _write_choice(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    choice = request.tool_choice
    if choice is None:
        if request.parallel_tools is False:
            out["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        return
    kind = _TYPES[choice.mode] if choice.mode != "allowed" else "any" if choice.required else "auto"
    said: Json = {"type": kind}
    if choice.name is not None:
        said["name"] = outgoing.tool_name(choice.name, choice.where, NAME_LIMIT)
    if kind != "none" and (request.parallel_tools is False or (outgoing.own and request.parallel_tools)):
        said["disable_parallel_tool_use"] = not request.parallel_tools
    outgoing.private(said, choice.private, choice.where)
    outgoing.inner(said, choice.inner, choice.where)
    out["tool_choice"] = said


_TYPES: Final = {"auto": "auto", "required": "any", "tool": "tool", "none": "none"}


def forces_a_tool(out: Json) -> bool:
    """Whether the tool_choice that was written leaves the model no other answer than a call."""
    choice = out.get("tool_choice")
    return choice is not None and choice["type"] in ("any", "tool")
