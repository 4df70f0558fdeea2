"""Tools and tool_choice of OpenAI Chat Completions, both ways. The older `functions`, `function_call` are read, never written."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.openai_chat_cache import drop, take_cache, write_own
from anyllm_fast.dialects.openai_strict import fits_strict
from anyllm_fast.neutral.custom_tools import as_function
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    decode_object,
    encode,
    is_string,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    open_objects,
    refuse,
    string_of,
    take,
    take_flag,
    take_object,
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CustomTool, Members, Request, ServerTool, Tool, ToolChoice, ToolForm

AnyTool = Tool | ServerTool | CustomTool

SEARCH: Final[Where] = (ROOT, "web_search_options")
"""Where a web search is asked for: a member of the body, not one of the tools."""

_PLACE: Final = ("city", "region", "country", "timezone")
_TRUE: Final = Raw(b"true")
_TYPED: Final = re.compile(rb'"type"\s*:\s*"object"')


def read_tools(given: list[Members] | None, members: Members, request: Request) -> None:
    old = take(members, "functions")
    if given is not None:
        where: Where = (ROOT, "tools")
        request.tools = [_read_tool(tool, (where, index)) for index, tool in enumerate(given)]
        names = [bytes(tool.name)[1:-1] for tool in request.tools if type(tool) is CustomTool]
        if names:
            request.forms = {name: ToolForm("custom", name) for name in names}
    if old is not None:
        where = (ROOT, "functions")
        tools = request.tools = request.tools or []
        for index, inside in enumerate(open_objects(old, where)):
            here = (where, index)
            tools.append(_read_function(inside, here, Tool(name=need_string(inside, "name", here), where=here)))
            tools[-1].private = leftovers(inside)
    _read_search(members, request)


def _read_tool(members: Members, where: Where) -> AnyTool:
    kind = need_text(members, "type", where)
    if kind not in ("function", "custom"):
        return ServerTool(type=kind, raw=Raw(encode({"type": kind, **members})), where=where)
    here: Where = (where, kind)
    inside = open_object(need(members, kind, "an object", where), here)
    name = need_string(inside, "name", here)
    tool: Tool | CustomTool
    if kind == "function":
        tool = _read_function(inside, here, Tool(name=name, where=where))
        if members:
            tool.cache = take_cache(members, where)
    else:
        description = take_string(inside, "description", here)
        tool = CustomTool(name=name, description=description, format=take_object(inside, "format", here), where=where)
    if inside and (rest := leftovers(inside)):
        tool.inner = {kind: rest}
    tool.private = leftovers(members)
    return tool


def _read_function(inside: Members, where: Where, tool: Tool) -> Tool:
    tool.description = take_string(inside, "description", where)
    tool.schema = take_object(inside, "parameters", where)
    strict = take_flag(inside, "strict", where)
    tool.strict = None if strict is None else Raw(encode(strict))
    return tool


def _read_search(members: Members, request: Request) -> None:
    raw = take(members, "web_search_options")
    if raw is None:
        return
    inside = open_object(raw, SEARCH)
    tool = ServerTool(kind="web_search", type="web_search_options", raw=raw, where=SEARCH)
    tool.context_size = take_string(inside, "search_context_size", SEARCH)
    tool.paths = {"context_size": (SEARCH, "search_context_size")}
    location = take(inside, "user_location")
    if location is not None:
        here: Where = (SEARCH, "user_location")
        place = open_object(location, here)
        inner: Where = (here, "approximate")
        near = open_object(need(place, "approximate", "an object", here), inner)
        known = {name: said for name in _PLACE if (said := take_string(near, name, inner)) is not None}
        tool.user_location = Raw(encode({"type": "approximate", **known}))
        if near:
            inside["user_location"] = location
    tool.private = leftovers(inside)
    request.tools = [*(request.tools or []), tool]


def read_tool_choice(members: Members, request: Request) -> None:
    raw, name = take(members, "tool_choice"), "tool_choice"
    old = take(members, "function_call")
    if raw is None:
        raw, name = old, "function_call"
    elif old is not None:
        members["function_call"] = old  # said twice: the newer one counts
    if raw is not None:
        where: Where = (ROOT, name)
        request.tool_choice = _read_word(raw, where) if is_string(raw) else _read_choice(raw, where, old is raw)
    request.parallel_tools = take_flag(members, "parallel_tool_calls", ROOT)
    request.where["parallel_tools"] = (ROOT, "parallel_tool_calls")


def _read_word(raw: Raw, where: Where) -> ToolChoice:
    word = text_of(raw)
    if word not in ("none", "auto", "required"):
        raise refuse(where, f"expected none, auto, required or an object, got {word!r}")
    return ToolChoice(mode=word, where=where)  # type: ignore[arg-type]  # one of the three


def _read_choice(raw: Raw, where: Where, old: bool) -> ToolChoice:
    inside = open_object(raw, where)
    if old:
        return ToolChoice(mode="tool", name=need_string(inside, "name", where), private=leftovers(inside), where=where)
    kind = need_text(inside, "type", where)
    here: Where = (where, kind)
    if kind == "allowed_tools":
        allowed = need(inside, kind, "an object", where)
        choice = _read_allowed(allowed, here)
        choice.where = where
    elif kind in ("function", "custom"):
        named = open_object(need(inside, kind, "an object", where), here)
        choice = ToolChoice(mode="tool", name=need_string(named, "name", here), custom=kind == "custom", where=where)
        if rest := leftovers(named):
            choice.inner = {kind: rest}
    else:
        raise refuse((where, "type"), f"expected function, custom or allowed_tools, got {kind!r}")
    choice.private = leftovers(inside)
    return choice


def _read_allowed(raw: Raw, where: Where) -> ToolChoice:
    inside = open_object(raw, where)
    mode = need_text(inside, "mode", where)
    if mode not in ("auto", "required"):
        raise refuse((where, "mode"), f"expected auto or required, got {mode!r}")
    place: Where = (where, "tools")
    names: list[str] = []
    for index, tool in enumerate(open_objects(need(inside, "tools", "an array", where), place)):
        here: Where = (place, index)
        kind = take_text(tool, "type", here) or "function"
        names.append(need_text(open_object(need(tool, kind, "an object", here), (here, kind)), "name", (here, kind)))
    return ToolChoice(mode="allowed", allowed=raw, names=names, required=mode == "required")


def write_tools(out: Json, outgoing: Outgoing) -> None:
    """`tools`, `tool_choice`, `parallel_tool_calls` and `web_search_options`. Empty lists are left out: the API refuses them."""
    request = outgoing.request
    tools: list[Json | Raw] = []
    custom: set[str] = set()
    for tool in request.tools or ():
        match tool:
            case Tool():
                if not tool.deferred or tool.found or outgoing.own:
                    tools.append(_write_function(tool, outgoing))
            case CustomTool():
                tools.append(_write_custom(tool, outgoing))
                custom.add(text_of(tool.name))
            case ServerTool():
                _write_server_tool(tool, tools, out, outgoing)
    if tools or (outgoing.own and any(tool.where is not SEARCH for tool in request.tools or ())):
        out["tools"] = tools
    if tools or outgoing.own:
        _write_choice(out, custom if outgoing.own or outgoing.profile.custom_tools else set(), outgoing)
    elif request.tool_choice is not None and request.tool_choice.mode not in ("auto", "none"):
        outgoing.lose(request.tool_choice.where, "there are no tools to choose from")


def _write_function(tool: Tool, outgoing: Outgoing) -> Json:
    name = outgoing.tool_name(tool.name, (tool.where, "name"), outgoing.profile.tool_name_limit)
    function: Json = {"name": name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema if outgoing.own else _typed(tool.schema)
    if tool.strict is not None and (outgoing.own or tool.strict == _TRUE):
        if outgoing.own or (tool.schema is not None and fits_strict(tool.schema)):
            function["strict"] = tool.strict
        else:
            outgoing.lose((tool.where, "strict"), "the target's strict mode takes only schemas whose properties are all required")
    out: Json = {"type": "function", "function": function}
    if tool.cache is not None:
        if outgoing.own:
            write_own(out, tool.cache, outgoing)
        else:
            drop(tool.cache, outgoing)
    if tool.private or tool.inner:
        outgoing.private(out, tool.private, tool.where)
        outgoing.inner(out, tool.inner, tool.where)
    return out


def _typed(schema: Raw) -> Raw | Json:
    """The schema of an object; one that does not say so is given the type that the API demands."""
    if _TYPED.search(schema) or "type" in (members := decode_object(schema)):
        return schema
    return {"type": "object", "properties": {}, **members}


def _write_custom(tool: CustomTool, outgoing: Outgoing) -> Json:
    """As it is to hosts that have such tools, as a function to the others."""
    if not (outgoing.own or outgoing.profile.custom_tools):
        out = _write_function(as_function(tool), outgoing)
        outgoing.private({}, tool.private, tool.where)
        outgoing.inner({}, tool.inner, tool.where)
        return out
    custom: Json = {"name": outgoing.tool_name(tool.name, (tool.where, "name"), outgoing.profile.tool_name_limit)}
    if tool.description is not None:
        custom["description"] = tool.description
    if tool.format is not None:
        custom["format"] = tool.format
    out = {"type": "custom", "custom": custom}
    outgoing.private(out, tool.private, tool.where)
    outgoing.inner(out, tool.inner, tool.where)
    return out


def _write_server_tool(tool: ServerTool, tools: list[Json | Raw], out: Json, outgoing: Outgoing) -> None:
    if outgoing.own:
        if tool.where == SEARCH:
            out["web_search_options"] = tool.raw
        else:
            tools.append(tool.raw)
        return
    if tool.kind != "web_search" or not outgoing.profile.web_search_options:
        outgoing.lose(tool.where, f"the target has no {tool.type} tool")
        return
    options: Json = {}
    if tool.context_size is not None:
        options["search_context_size"] = tool.context_size
    if tool.user_location is not None:
        place = tool.path("user_location")
        said = open_object(tool.user_location, place)
        near = {name: value for name in _PLACE if (value := take_string(said, name, place)) is not None}
        said.pop("type", None)
        outgoing.private({}, leftovers(said), place)
        options["user_location"] = {"type": "approximate", "approximate": near}
    out["web_search_options"] = options
    for name, value in (
        ("allowed_domains", tool.allowed_domains),
        ("blocked_domains", tool.blocked_domains),
        ("max_uses", tool.max_uses),
    ):
        if value is not None:
            outgoing.lose(tool.path(name))
    if tool.cache is not None:
        drop(tool.cache, outgoing)
    outgoing.private({}, tool.private, tool.where)


def _write_choice(out: Json, custom: set[str], outgoing: Outgoing) -> None:
    """`custom`: names of the tools that were written as free-form ones."""
    request = outgoing.request
    choice = request.tool_choice
    if choice is not None:
        said: Json | Raw | str = choice.mode
        if choice.mode == "tool":
            if choice.name is None:
                raise wrong(None, "the tool's name", choice.where)
            said = _named(choice.name, choice.custom if outgoing.own else text_of(choice.name) in custom, choice, outgoing)
        elif choice.mode == "allowed":
            said = {"type": "allowed_tools", "allowed_tools": _write_allowed(choice, custom, outgoing)}
        extra: Json = said if isinstance(said, dict) else {}
        outgoing.private(extra, choice.private, choice.where)
        outgoing.inner(extra, choice.inner, choice.where)
        out["tool_choice"] = said
    if request.parallel_tools is False or (outgoing.own and request.parallel_tools):
        out["parallel_tool_calls"] = request.parallel_tools


def _write_allowed(choice: ToolChoice, custom: set[str], outgoing: Outgoing) -> Raw | Json:
    if outgoing.own and choice.allowed is not None:
        return choice.allowed
    tools = [_named(string_of(name), name in custom, choice, outgoing) for name in choice.names]
    return {"mode": "required" if choice.required else "auto", "tools": tools}


def _named(name: Raw, custom: bool, choice: ToolChoice, outgoing: Outgoing) -> Json:
    kind = "custom" if custom else "function"
    return {"type": kind, kind: {"name": outgoing.tool_name(name, (choice.where, "name"), outgoing.profile.tool_name_limit)}}
