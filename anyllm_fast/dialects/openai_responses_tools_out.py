"""Writes tools and tool_choice of OpenAI Responses. Reads nothing."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.openai_chat_cache import drop
from anyllm_fast.dialects.openai_strict import fits_strict
from anyllm_fast.neutral.custom_tools import as_function
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    decode_object,
    leftovers,
    need_text,
    open_object,
    open_objects,
    take,
    take_object,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CustomTool, ServerTool, Tool, ToolChoice

_NO_ARGUMENTS: Final = Raw(b'{"type":"object","properties":{},"required":[],"additionalProperties":false}')
_PLACE: Final = ("city", "region", "country", "timezone")
_SEARCH: Final = Raw(b'"web_search"')
_TRUE: Final = Raw(b"true")
_TYPED: Final = re.compile(rb'"type"\s*:\s*"object"')


def write_tools(out: Json, outgoing: Outgoing) -> None:
    """`tools`, `tool_choice`, `parallel_tool_calls`. Empty lists are left out: the API refuses them."""
    request = outgoing.request
    tools: list[Json | Raw] = []
    for tool in request.tools or ():
        match tool:
            case Tool():
                if not tool.deferred or tool.found:
                    tools.append(_function(tool, outgoing))
            case CustomTool():
                tools.append(_custom(tool, outgoing))
            case ServerTool():
                _server_tool(tool, tools, outgoing)
    choice = request.tool_choice
    if tools:
        out["tools"] = tools
        if choice is not None:
            _choice(choice, out, outgoing)
        if request.parallel_tools is False:
            out["parallel_tool_calls"] = False
    elif choice is not None and choice.mode not in ("auto", "none"):
        outgoing.lose(choice.where, "there are no tools to choose from")


def _function(tool: Tool, outgoing: Outgoing) -> Json:
    """`strict` is always said: the API takes a function without it for one with it, and changes its schema."""
    name = outgoing.tool_name(tool.name, (tool.where, "name"), outgoing.profile.tool_name_limit)
    out: Json = {"type": "function", "name": name}
    if tool.description is not None:
        out["description"] = tool.description
    out["parameters"] = _NO_ARGUMENTS if tool.schema is None else _typed(tool.schema)
    out["strict"] = False
    if tool.strict == _TRUE:
        if tool.schema is None or fits_strict(tool.schema):
            out["strict"] = True
        else:
            outgoing.lose(tool.where, "the target's strict mode takes only schemas whose properties are all required")
    if tool.cache is not None:
        drop(tool.cache, outgoing)
    if tool.private or tool.inner:
        outgoing.private({}, tool.private, tool.where)
        outgoing.inner({}, tool.inner, tool.where)
    return out


def _typed(schema: Raw) -> Raw | Json:
    """The schema of an object; one that does not say so is given the type that the API demands."""
    if _TYPED.search(schema) or "type" in (members := decode_object(schema)):
        return schema
    return {"type": "object", "properties": {}, **members}


def _custom(tool: CustomTool, outgoing: Outgoing) -> Json:
    outgoing.private({}, tool.private, tool.where)
    outgoing.inner({}, tool.inner, tool.where)
    if not outgoing.profile.custom_tools:
        return _function(as_function(tool), outgoing)
    name = outgoing.tool_name(tool.name, (tool.where, "name"), outgoing.profile.tool_name_limit)
    out: Json = {"type": "custom", "name": name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.format is not None:
        out["format"] = _format(tool.format, (tool.where, "format"))
    return out


def _format(raw: Raw, where: Where) -> Raw | Json:
    """Chat nests the grammar, this API does not."""
    inside = open_object(raw, where)
    grammar = take_object(inside, "grammar", where)
    return raw if grammar is None else {**inside, **open_object(grammar, (where, "grammar"))}


def _server_tool(tool: ServerTool, tools: list[Json | Raw], outgoing: Outgoing) -> None:
    if outgoing.profile.hosted_tools and tool.kind == "web_search":
        tools.append(_search(tool, outgoing))
    elif outgoing.profile.hosted_tools and tool.kind == "code_execution":
        tools.append({"type": "code_interpreter", "container": {"type": "auto"}})
    else:
        outgoing.lose(tool.where, f"the target has no {tool.type} tool")
        return
    if tool.cache is not None:
        drop(tool.cache, outgoing)
    outgoing.private({}, tool.private, tool.where)


def _search(tool: ServerTool, outgoing: Outgoing) -> Json:
    out: Json = {"type": "web_search"}
    if tool.allowed_domains is not None:
        out["filters"] = {"allowed_domains": tool.allowed_domains}
    if tool.context_size is not None:
        out["search_context_size"] = tool.context_size
    if tool.user_location is not None:
        place = tool.path("user_location")
        said = open_object(tool.user_location, place)
        take(said, "type")
        out["user_location"] = {"type": "approximate", **{name: raw for name in _PLACE if (raw := take(said, name)) is not None}}
        outgoing.private({}, leftovers(said), place)
    if tool.blocked_domains is not None:
        outgoing.lose(tool.path("blocked_domains"), "the target's search takes no domains to keep away from")
    if tool.max_uses is not None:
        outgoing.lose(tool.path("max_uses"))
    return out


def _choice(choice: ToolChoice, out: Json, outgoing: Outgoing) -> None:
    said: Json | str = choice.mode
    if choice.mode == "tool":
        if choice.name is None:
            raise wrong(None, "the tool's name", choice.where)
        said = _one(choice, choice.name, outgoing)
    elif choice.mode == "allowed":
        said = {"type": "allowed_tools", "mode": "required" if choice.required else "auto", "tools": _allowed(choice, outgoing)}
    outgoing.private({}, choice.private, choice.where)
    outgoing.inner({}, choice.inner, choice.where)
    out["tool_choice"] = said


def _one(choice: ToolChoice, name: Raw, outgoing: Outgoing) -> Json:
    """Anthropic's own tools are forced by name; OpenAI's have none, but one may be all that is allowed."""
    if name == _SEARCH and outgoing.profile.hosted_tools:
        tools = outgoing.request.tools or ()
        if any(isinstance(tool, ServerTool) and tool.kind == "web_search" for tool in tools):
            return {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    form = "custom" if choice.custom and outgoing.profile.custom_tools else "function"
    return {"type": form, "name": _name(name, choice.where, outgoing)}


def _allowed(choice: ToolChoice, outgoing: Outgoing) -> list[Json]:
    """From Chat's form, in which a tool's name lies in an object of its own; by the names alone where that is not there."""
    if choice.allowed is None:
        return [{"type": "function", "name": name} for name in choice.names]
    inside = open_object(choice.allowed, choice.where)
    raw = take(inside, "tools")
    tools: list[Json] = []
    for tool in [] if raw is None else open_objects(raw, (choice.where, "tools")):
        kind = need_text(tool, "type", choice.where)
        named = open_object(tool.get(kind, Raw(b"{}")), choice.where)
        form = "custom" if kind == "custom" and outgoing.profile.custom_tools else "function"
        tools.append({"type": form, "name": _name(named.get("name", Raw(b'""')), choice.where, outgoing)})
    return tools


def _name(name: Raw, where: Where, outgoing: Outgoing) -> Raw:
    return outgoing.tool_name(name, (where, "name"), outgoing.profile.tool_name_limit)
