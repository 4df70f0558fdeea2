"""toolConfig of Bedrock Converse, both ways.

The API has no word for `none`, and refuses tool calls in the messages of a request that declares no tools. So under `none` the
tools are left out where no message has a call, and stay, which is announced, where one has; a history of calls without any tools
gets them declared by name. Claude takes its own tool_choice beside the API's; only disable_parallel_tool_use is needed of it.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.bedrock_blocks import NAME_LIMIT
from anyllm_fast.dialects.bedrock_cache import POINT, Blocks, read_point, write_point
from anyllm_fast.neutral.custom_tools import as_function
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    decode_object,
    encode,
    leftovers,
    need,
    need_string,
    need_text,
    open_object,
    open_objects,
    refuse,
    take,
    take_flag,
    take_object,
    take_string,
    text_of,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CustomTool, Members, Request, ServerTool, Tool, ToolCall, ToolChoice

AnyTool = Tool | ServerTool | CustomTool

FIELDS: Final = "additionalModelRequestFields"
_WHERE: Final[Where] = (ROOT, "toolConfig")
_NO_ARGUMENTS: Final = Raw(b'{"type":"object","properties":{}}')
_ANYTHING: Final = Raw(b'{"type":"object"}')
_TRUE: Final = Raw(b"true")
_KINDS: Final = {"nova_grounding": "web_search", "nova_code_interpreter": "code_execution"}
_MODES: Final = {"auto": "auto", "any": "required", "tool": "tool"}
_WORDS: Final = {mode: word for word, mode in _MODES.items()}


# -- reading -----------------------------------------------------------------------------------------------------------


def read_tool_config(members: Members, request: Request) -> None:
    raw = take_object(members, "toolConfig", ROOT)
    if raw is None:
        return
    inside = open_object(raw, _WHERE)
    tools = take(inside, "tools")
    if tools is not None:
        where: Where = (_WHERE, "tools")
        request.tools = []
        for index, item in enumerate(open_objects(tools, where)):
            found = _read_tool(item, request.tools, (where, index))
            if found is not None:
                request.tools.append(found)
    choice = take_object(inside, "toolChoice", _WHERE)
    if choice is not None:
        request.tool_choice = _read_choice(choice, (_WHERE, "toolChoice"))
    if rest := leftovers(inside):
        request.inner["toolConfig"] = rest


def _read_tool(members: Members, before: list[AnyTool], where: Where) -> AnyTool | None:
    """None for a cache point that the tool before it took."""
    raw = Raw(encode(members))
    if POINT in members:
        last = before[-1] if before else None
        point = read_point(members, None if isinstance(last, CustomTool) else last, where)
        return None if point is None else ServerTool(type=POINT, raw=point.raw, where=where)
    if "toolSpec" not in members:
        kind = next(iter(members), "nameless")
        name = kind
        if kind == "systemTool":
            name = need_text(open_object(members[kind], (where, kind)), "name", (where, kind))
        found = ServerTool(type=name, raw=raw, where=where)
        found.kind = _KINDS.get(name, "")  # type: ignore[assignment]  # two of its kinds
        return found
    here: Where = (where, "toolSpec")
    inside = open_object(need(members, "toolSpec", "an object", where), here)
    tool = Tool(name=need_string(inside, "name", here), where=here)
    tool.description = take_string(inside, "description", here)
    schema = open_object(need(inside, "inputSchema", "an object", here), (here, "inputSchema"))
    tool.schema = take_object(schema, "json", (here, "inputSchema"))
    strict = take_flag(inside, "strict", here)
    tool.strict = None if strict is None else Raw(encode(strict))
    if rest := leftovers(schema):
        tool.inner = {"inputSchema": rest}
    tool.private = leftovers(inside)
    return tool


def _read_choice(raw: Raw, where: Where) -> ToolChoice:
    inside = open_object(raw, where)
    word = next((name for name in _MODES if inside.get(name) is not None), None)
    if word is None:
        raise refuse(where, f"expected auto, any or tool, got {', '.join(inside) or 'nothing'}")
    choice = ToolChoice(mode=_MODES[word], where=where)  # type: ignore[arg-type]  # a value of _MODES
    said = open_object(inside.pop(word), (where, word))
    if word == "tool":
        choice.name = need_string(said, "name", (where, word))
    if rest := leftovers(said):
        choice.inner = {word: rest}
    choice.private = leftovers(inside)
    return choice


# -- writing -----------------------------------------------------------------------------------------------------------


def write_tool_config(out: Json, outgoing: Outgoing) -> None:
    request = outgoing.request
    if outgoing.own:
        if request.tools is not None or request.tool_choice is not None:
            out["toolConfig"] = _own(outgoing)
        return
    called = _called(request)
    choice = request.tool_choice
    tools: Blocks = []
    for tool in _offered(request):
        _write_tool(tool, tools, outgoing)
    if choice is not None and choice.mode == "none" and tools:
        if not called:
            outgoing.lose(choice.where, "the target cannot be told to call nothing: the tools are left out instead")
            return
        outgoing.lose(choice.where, "the target cannot be told to call nothing, nor go without the tools that were called")
    if not tools:
        tools += _declared(called, outgoing)
        if choice is not None and choice.mode not in ("auto", "none"):
            outgoing.lose(choice.where, "there are no tools to choose from")
        if tools:
            out["toolConfig"] = {"tools": tools}
        return
    config: Json = {"tools": tools}
    _write_choice(config, out, outgoing)
    out["toolConfig"] = config


def _own(outgoing: Outgoing) -> Json:
    request = outgoing.request
    config: Json = {}
    if request.tools is not None:
        tools: Blocks = []
        for tool in request.tools:
            _write_tool(tool, tools, outgoing)
        config["tools"] = tools
    choice = request.tool_choice
    if choice is not None:
        word = _WORDS[choice.mode]
        said: Json = {word: {} if choice.name is None else {"name": choice.name}, **choice.private}
        outgoing.inner(said, choice.inner, choice.where)
        config["toolChoice"] = said
    return config


def _called(request: Request) -> dict[bytes, ToolCall]:
    """The tools that the conversation has calls of, each with its first call."""
    found: dict[bytes, ToolCall] = {}
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall):
                found.setdefault(bytes(part.name), part)
    return found


def _offered(request: Request) -> list[AnyTool]:
    """The tools that the model may see: of allowed_tools those alone, of deferred ones those that were found."""
    tools = request.tools or []
    choice = request.tool_choice
    if choice is not None and choice.mode == "allowed":
        tools = [tool for tool in tools if isinstance(tool, ServerTool) or text_of(tool.name) in choice.names]
    return [tool for tool in tools if not (isinstance(tool, Tool) and tool.deferred and not tool.found)]


def _declared(called: dict[bytes, ToolCall], outgoing: Outgoing) -> Blocks:
    """Tools of which only the calls are known."""
    return [
        {
            "toolSpec": {
                "name": outgoing.tool_name(call.name, (call.where, "name"), NAME_LIMIT),
                "description": "Called earlier in this conversation; cannot be called any more.",
                "inputSchema": {"json": _ANYTHING},
            }
        }
        for call in called.values()
    ]


def _write_tool(tool: AnyTool, tools: Blocks, outgoing: Outgoing) -> None:
    if isinstance(tool, ServerTool):
        if outgoing.own:
            tools.append(tool.raw)
            write_point(tools, tool.cache, outgoing)
        else:
            outgoing.lose(tool.where, f"the target has no {tool.type} tool")
        return
    function = tool
    if isinstance(tool, CustomTool):
        function = as_function(tool)
        outgoing.private({}, tool.private, tool.where)
        outgoing.inner({}, tool.inner, tool.where)
    assert isinstance(function, Tool)  # noqa: S101 - for the type checker
    tools.append({"toolSpec": _write_function(function, outgoing)})
    write_point(tools, function.cache, outgoing)


def _write_function(tool: Tool, outgoing: Outgoing) -> Json:
    out: Json = {"name": outgoing.tool_name(tool.name, (tool.where, "name"), NAME_LIMIT)}
    if tool.description is not None and (outgoing.own or text_of(tool.description).strip()):
        out["description"] = tool.description
    schema: Raw | Json = tool.schema if tool.schema is not None else _NO_ARGUMENTS
    out["inputSchema"] = {"json": schema if outgoing.own or isinstance(schema, dict) else _typed(schema)}
    if tool.strict is not None and (outgoing.own or tool.strict == _TRUE):
        if outgoing.own or outgoing.profile.enforced_schemas:
            out["strict"] = tool.strict
        else:
            outgoing.lose((tool.where, "strict"), "the model cannot be held to a schema")
    outgoing.private(out, tool.private, tool.where)
    outgoing.inner(out, tool.inner, tool.where)
    return out


def _typed(schema: Raw) -> Raw | Json:
    """The schema of an object; one that does not say so is given the type that the API demands."""
    members = decode_object(schema)
    return schema if "type" in members else {"type": "object", **members}


def _write_choice(config: Json, out: Json, outgoing: Outgoing) -> None:
    """`auto` is what holds without a word. One call at a time can be said to Claude alone, with the type only where the API's own
    choice is silent: a type in both places is a 400."""
    request, choice = outgoing.request, outgoing.request.tool_choice
    alone = request.parallel_tools is False
    mode = "auto" if choice is None or choice.mode == "none" else choice.mode
    if choice is not None:
        outgoing.private({}, choice.private, choice.where)
        outgoing.inner({}, choice.inner, choice.where)
        if mode == "allowed":
            mode = "required" if choice.required else "auto"
    if mode == "required":
        config["toolChoice"] = {"any": {}}
    elif mode == "tool" and choice is not None and choice.name is not None:
        config["toolChoice"] = {"tool": {"name": outgoing.tool_name(choice.name, (choice.where, "name"), NAME_LIMIT)}}
    elif choice is not None and not (alone and outgoing.profile.anthropic_model):
        config["toolChoice"] = {"auto": {}}
    if alone and outgoing.profile.anthropic_model:
        said: Json = {"disable_parallel_tool_use": True}
        out.setdefault(FIELDS, {})["tool_choice"] = said if "toolChoice" in config else {"type": "auto", **said}
    elif alone:
        outgoing.lose(request.path("parallel_tools"), "the model cannot be kept to one call at a time: it is only asked to")


def forces_a_tool(out: Json) -> bool:
    """Whether the choice that was written leaves the model no other answer than a call."""
    choice = out.get("toolConfig", {}).get("toolChoice")
    return choice is not None and "auto" not in choice
