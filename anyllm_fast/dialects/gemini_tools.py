"""Tools and toolConfig of Gemini, both ways."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Raw

from anyllm_fast.dialects.gemini_schema import from_openapi, lowered, to_openapi
from anyllm_fast.dialects.gemini_spelling import open_message, open_messages, spelled
from anyllm_fast.neutral.custom_tools import as_function
from anyllm_fast.neutral.losses import ROOT, Where
from anyllm_fast.neutral.members import (
    decode_object,
    encode,
    is_string,
    leftovers,
    need_string,
    open_array,
    refuse,
    string_of,
    take,
    take_object,
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.request import CustomTool, Members, Request, ServerTool, Tool, ToolChoice

AnyTool = Tool | ServerTool | CustomTool
Kind = Literal["web_search", "web_fetch", "code_execution", ""]

NAME_LIMIT: Final = 64
TOOLS: Final[Where] = (ROOT, "tools")
CONFIG: Final[Where] = (ROOT, "toolConfig")
CALLING: Final[Where] = (CONFIG, "functionCallingConfig")

_KINDS: Final[dict[str, Kind]] = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "enterpriseWebSearch": "web_search",
    "exaAiSearch": "web_search",
    "parallelAiSearch": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code_execution",
}
_WRITTEN: Final = {"web_search": "googleSearch", "web_fetch": "urlContext", "code_execution": "codeExecution"}
_QUIET: Final = ("behavior", (b'"BLOCKING"', b'"UNSPECIFIED"'))


class GivenTool(Tool, kw_only=True):
    """A function as a client of Gemini declared it: `declaration` goes back to Gemini as it is."""

    declaration: Raw


class GivenChoice(ToolChoice, kw_only=True):
    """The same for functionCallingConfig."""

    config: Raw


# -- reading -----------------------------------------------------------------------------------------------------------


def read_tools(given: list[Members] | None, request: Request) -> None:
    """One object of `tools` may hold functions and any of Google's own tools."""
    if given is None:
        return
    tools: list[AnyTool] = []
    request.tools = tools
    for index, members in enumerate(given):
        here: Where = (TOOLS, index)
        for name, raw in spelled(members).items():
            if raw == Raw(b"null"):
                continue
            if name == "functionDeclarations":
                place: Where = (here, name)
                for at, (whole, inside) in enumerate(zip(open_array(raw, place), open_messages(raw, place), strict=True)):
                    tools.append(_read_function(whole, inside, (place, at)))
            else:
                tools.append(_read_server_tool(name, raw, (here, name)))


def _read_function(whole: Raw, inside: Members, where: Where) -> GivenTool:
    tool = GivenTool(name=need_string(inside, "name", where), declaration=whole, where=where)
    tool.description = take_string(inside, "description", where)
    parameters = take_object(inside, "parameters", where)
    schema = take_object(inside, "parametersJsonSchema", where)
    if schema is not None:
        tool.schema = lowered(schema)
    elif parameters is not None:
        tool.schema = from_openapi(parameters)
    if bytes(inside.get(_QUIET[0], b"")) in _QUIET[1]:
        del inside[_QUIET[0]]
    tool.private = leftovers(inside)
    return tool


def _read_server_tool(name: str, raw: Raw, where: Where) -> ServerTool:
    tool = ServerTool(kind=_KINDS.get(name, ""), type=name, raw=Raw(b'{"%b":%b}' % (name.encode(), bytes(raw))), where=where)
    if memoryview(raw)[0] == 0x7B and tool.kind:
        inside = open_message(raw, where)
        tool.blocked_domains = take(inside, "excludeDomains")
        tool.paths = {"blocked_domains": (where, "excludeDomains")}
        tool.private = leftovers(inside)
    return tool


def read_tool_config(members: Members, request: Request) -> None:
    raw = take(members, "toolConfig")
    if raw is None:
        return
    inside = open_message(raw, CONFIG)
    calling = take_object(inside, "functionCallingConfig", CONFIG)
    if calling is not None:
        request.tool_choice = _read_choice(calling)
    if rest := leftovers(inside):
        request.inner["toolConfig"] = rest


def _read_choice(raw: Raw) -> GivenChoice:
    """VALIDATED lets the model choose as AUTO does, and holds its calls to their schemas."""
    inside = open_message(raw, CALLING)
    mode = (take_text(inside, "mode", CALLING) or "").upper()
    if mode not in ("", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"):
        raise refuse((CALLING, "mode"), f"expected AUTO, ANY, NONE or VALIDATED, got {mode!r}")
    place: Where = (CALLING, "allowedFunctionNames")
    names = take(inside, "allowedFunctionNames")
    allowed = [] if names is None else open_array(names, place)
    for index, name in enumerate(allowed):
        if not is_string(name):
            raise wrong(name, "a string", (place, index))
    choice = GivenChoice(mode="auto", config=raw, where=CALLING)
    if mode == "NONE":
        choice.mode = "none"
    elif mode == "ANY" and len(allowed) == 1:
        choice.mode, choice.name = "tool", allowed[0]
    elif allowed:
        choice.mode, choice.required = "allowed", mode == "ANY"
        choice.names = [text_of(name) for name in allowed]
        tools = [{"type": "function", "function": {"name": name}} for name in allowed]
        choice.allowed = Raw(encode({"mode": "required" if choice.required else "auto", "tools": tools}))
    elif mode == "ANY":
        choice.mode = "required"
    if mode == "VALIDATED":
        inside["mode"] = string_of(mode)
    choice.private = leftovers(inside)
    return choice


# -- writing -----------------------------------------------------------------------------------------------------------


def write_tools(out: Json, outgoing: Outgoing) -> None:
    """`tools` and `toolConfig`."""
    request = outgoing.request
    if outgoing.own:
        _write_own(out, request)
        return
    choice = request.tool_choice
    tools = request.tools or []
    if choice is not None and choice.mode == "allowed":
        tools = [tool for tool in tools if isinstance(tool, ServerTool) or text_of(tool.name) in choice.names]
    functions = [written for tool in tools if (written := _write_function(tool, outgoing)) is not None]
    said: list[Json] = [{"functionDeclarations": functions}] if functions else []
    together = outgoing.profile.server_tools_with_functions
    for tool in tools:
        if not isinstance(tool, ServerTool):
            continue
        if functions and not together and tool.kind in _WRITTEN:
            outgoing.lose(tool.where, "the model takes no tools of Google's beside functions")
        elif (own := _write_server_tool(tool, outgoing)) is not None and own not in said:
            said.append(own)
    if said:
        out["tools"] = said
    if functions:
        _write_choice(out, outgoing)
        if len(said) > 1:
            out.setdefault("toolConfig", {})["includeServerSideToolInvocations"] = True
    elif choice is not None and choice.mode not in ("auto", "none"):
        outgoing.lose(choice.where, "there are no functions to choose from")
    if request.parallel_tools is False and functions:
        outgoing.lose(request.path("parallel_tools"), "the target cannot be told to call one function at a time")


def _write_own(out: Json, request: Request) -> None:
    """As they were grouped: functions and Google's own tools may share an object."""
    groups: dict[int, Json] = {}
    for tool in request.tools or ():
        place = tool.where[0][0] if isinstance(tool, Tool) else tool.where[0]  # type: ignore[misc]  # a path has both steps
        group = groups.setdefault(int(place[1]), {})  # type: ignore[misc]  # the place among the tools
        if isinstance(tool, GivenTool):
            group.setdefault("functionDeclarations", []).append(tool.declaration)
        elif isinstance(tool, ServerTool):
            group.update(decode_object(tool.raw))
    if groups:
        out["tools"] = list(groups.values())
    if isinstance(request.tool_choice, GivenChoice):
        out["toolConfig"] = {"functionCallingConfig": request.tool_choice.config}


def tool_name(name: Raw, where: Where, outgoing: Outgoing) -> Raw:
    """What Gemini calls a function: its name, which may not begin with a digit or a dash here."""
    sent = outgoing.tool_name(name, where, NAME_LIMIT)
    span = bytes(sent)[1:-1]
    if outgoing.own or not (span[:1].isdigit() or span.startswith(b"-")):
        return sent
    alias = b"_" + span[: NAME_LIMIT - 1]
    outgoing.request.renamed[alias] = outgoing.request.renamed.get(span, bytes(name)[1:-1])
    return Raw(b'"%b"' % alias)


def _write_function(tool: AnyTool, outgoing: Outgoing) -> Json | None:
    if isinstance(tool, CustomTool):
        outgoing.private({}, tool.private, tool.where)
        outgoing.inner({}, tool.inner, tool.where)
        tool = as_function(tool)
    if not isinstance(tool, Tool) or (tool.deferred and not tool.found):
        return None
    out: Json = {"name": tool_name(tool.name, (tool.where, "name"), outgoing)}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.schema is not None:
        if outgoing.profile.json_schemas:
            out["parametersJsonSchema"] = _typed(tool.schema)
        elif (schema := to_openapi(Raw(encode(_typed(tool.schema))), (tool.where, "schema"), outgoing.lose)).get("properties"):
            out["parameters"] = schema  # an object without properties is a 400: such a function takes no parameters
    if tool.strict is not None and bytes(tool.strict) == b"true":
        outgoing.lose(tool.where, "the target has no strict mode for one function")
    if tool.cache is not None:
        outgoing.lose(tool.cache.where, "the target caches prompts unasked")
    outgoing.private({}, tool.private, tool.where)
    outgoing.inner({}, tool.inner, tool.where)
    return out


def _typed(schema: Raw) -> Raw | Json:
    """Parameters are an object's; a schema that does not say so is given the type that the API demands."""
    members = decode_object(schema)
    return schema if "type" in members or "$ref" in members else {"type": "object", **members}


def _write_server_tool(tool: ServerTool, outgoing: Outgoing) -> Json | None:
    name = _WRITTEN.get(tool.kind)
    if name is None:
        outgoing.lose(tool.where, f"the target has no {tool.type} tool")
        return None
    inside: Json = {}
    if tool.blocked_domains is not None and tool.kind == "web_search":
        inside["excludeDomains"] = tool.blocked_domains
    for member, value in (
        ("allowed_domains", tool.allowed_domains),
        ("blocked_domains", None if inside else tool.blocked_domains),
        ("max_uses", tool.max_uses),
        ("user_location", tool.user_location),
        ("context_size", None if tool.context_size in (None, Raw(b'"medium"')) else tool.context_size),
    ):
        if value is not None:
            outgoing.lose(tool.path(member), f"the target's {name} has no such setting")
    if tool.cache is not None:
        outgoing.lose(tool.cache.where, "the target caches prompts unasked")
    outgoing.private({}, tool.private, tool.where)
    return {name: inside}


def _write_choice(out: Json, outgoing: Outgoing) -> None:
    choice = outgoing.request.tool_choice
    if choice is None:
        return
    said: Json = {"mode": _MODES[choice.mode] if choice.mode != "allowed" else "ANY" if choice.required else "AUTO"}
    if choice.mode == "tool":
        if choice.name is None:
            raise wrong(None, "the tool's name", choice.where)
        said["allowedFunctionNames"] = [tool_name(choice.name, (choice.where, "name"), outgoing)]
    outgoing.private({}, choice.private, choice.where)
    outgoing.inner({}, choice.inner, choice.where)
    out["toolConfig"] = {"functionCallingConfig": said}


_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}
