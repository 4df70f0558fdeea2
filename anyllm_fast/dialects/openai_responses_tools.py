"""Reads tools and tool_choice of OpenAI Responses. Writes nothing.

Everything that the client runs becomes a function (or a free-form tool) that any model can call; how the client itself names and
calls it is kept in Request.forms, so that it gets its own kind of call back. What OpenAI's servers run is a ServerTool.
Tools also come in the input: `additional_tools` (Codex) and what a tool search has found join the others.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Raw, structs

from anyllm_fast.dialects.openai_responses_items import INPUT
from anyllm_fast.dialects.openai_responses_names import full_name, in_namespace
from anyllm_fast.neutral.losses import ROOT, Losses, Where, dotted
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    joined,
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
)
from anyllm_fast.neutral.request import CustomTool, Members, Request, ServerTool, Tool, ToolChoice, ToolForm

AnyTool = Tool | ServerTool | CustomTool

_MANY: Final = ("additional_tools", "tool_search_output")
_SILENT: Final = {"allowed_callers": b'["direct"]', "async": b"false", "defer_loading": b"false"}
"""Members of a tool that with these values say what holds without them."""
_AUTO: Final = b'{"type":"auto"}'

_EXEC: Final = Raw(
    b'{"type":"object","properties":{'
    b'"type":{"type":"string","enum":["exec"]},'
    b'"command":{"type":"array","items":{"type":"string"},"description":"The program and its arguments."},'
    b'"env":{"type":"object","additionalProperties":{"type":"string"},"description":"Environment variables to set."},'
    b'"timeout_ms":{"type":"integer","description":"Milliseconds after which the command is stopped."},'
    b'"user":{"type":"string","description":"The user to run it as."},'
    b'"working_directory":{"type":"string","description":"The directory to run it in."}},'
    b'"required":["type","command","env"]}'
)
_SHELL: Final = Raw(
    b'{"type":"object","properties":{'
    b'"commands":{"type":"array","items":{"type":"string"},"description":"Shell commands, run one after the other."},'
    b'"timeout_ms":{"type":"integer","description":"Milliseconds after which they are stopped."},'
    b'"max_output_length":{"type":"integer","description":"Characters of output to give back at most."}},'
    b'"required":["commands"]}'
)
_PATCH: Final = Raw(
    b'{"type":"object","properties":{'
    b'"type":{"type":"string","enum":["create_file","update_file","delete_file"]},'
    b'"path":{"type":"string","description":"The file, relative to the workspace."},'
    b'"diff":{"type":"string","description":"For create_file and update_file: the change as a V4A diff, in which lines begin '
    b'with +, - or a space and hunks with @@."}},'
    b'"required":["type","path"]}'
)
Kind = Literal["local_shell", "shell", "apply_patch"]
BUILT_IN: Final[dict[str, tuple[Kind, str, Raw]]] = {
    "local_shell": ("local_shell", "Runs a command on the user's machine.", _EXEC),
    "shell": ("shell", "Runs commands in a shell on the user's machine.", _SHELL),
    "apply_patch": ("apply_patch", "Creates, changes or deletes a file of the user's.", _PATCH),
}
"""OpenAI's tools that the client runs: what they do, and the arguments of their calls."""


class _Reading:
    """Reads tool after tool into a request. `kept`: by path, what a tool was that is not written back by its members."""

    __slots__ = ("_kept", "_request", "tools")

    def __init__(self, request: Request, kept: dict[str, Raw]) -> None:
        self.tools: list[AnyTool] = []
        self._request = request
        self._kept = kept

    def tool(self, members: Members, where: Where) -> None:
        kind = need_text(dict(members), "type", where)
        if kind in ("function", "custom") and not members.keys().isdisjoint(_SILENT):
            self._kept[dotted(where)] = Raw(encode(members))
        if kind == "function":
            self.tools.append(_read_function(members, where))
        elif kind == "custom":
            self._custom(members, where)
        elif kind == "namespace":
            self._namespace(members, where)
        elif kind in BUILT_IN and not _runs_elsewhere(members):
            self._built_in(kind, members, where)
        else:
            self.tools.append(_read_server_tool(kind, members, where))

    def _custom(self, members: Members, where: Where) -> None:
        tool = _read_custom(members, where)
        span = bytes(tool.name)[1:-1]
        self._request.forms[span] = ToolForm("custom", span)
        self.tools.append(tool)

    def _namespace(self, members: Members, where: Where) -> None:
        """Each tool in it is one of its own, named after both. What the namespace is for is told by its first tool."""
        self._kept[dotted(where)] = Raw(encode(members))
        space = bytes(need_string(members, "name", where))[1:-1]
        about = take_string(members, "description", where)
        here: Where = (where, "tools")
        for index, inside in enumerate(open_objects(need(members, "tools", "an array", where), here)):
            place = (here, index)
            kind = take_text(dict(inside), "type", place) or "function"
            if kind not in ("function", "custom"):
                raise refuse((place, "type"), f"expected function or custom, got {kind!r}")
            tool = _read_function(inside, place) if kind == "function" else _read_custom(inside, place)
            own = bytes(tool.name)[1:-1]
            span = in_namespace(space, own)
            tool.name = Raw(b'"%b"' % span)
            if about is not None and len(memoryview(about)) > 2:
                tool.description = about if tool.description is None else joined([about, tool.description], b"\\n\\n")
                about = None
            form = ToolForm("namespaced" if kind == "function" else "custom", own, space)
            self._request.forms[span] = form
            self.tools.append(tool)

    def _built_in(self, kind: str, members: Members, where: Where) -> None:
        self._kept[dotted(where)] = Raw(encode(members))
        form, said, schema = BUILT_IN[kind]
        del members["type"]
        said += _skills(members, where)
        span = kind.encode()
        tool = Tool(name=Raw(encode(kind)), description=string_of(said), schema=schema, where=where)
        tool.private = _private(members)
        self._request.forms[span] = ToolForm(form, span)
        self.tools.append(tool)


def read_tools(given: list[Members] | None, items: list[Members], request: Request, kept: dict[str, Raw], losses: Losses) -> None:
    """Sets `tools` and `forms`. `items` are the input's, of which nothing is taken."""
    reading = _Reading(request, kept)
    where: Where = (ROOT, "tools")
    for index, members in enumerate(given or ()):
        reading.tool(members, (where, index))
    for index, item in enumerate(items):
        kind = item.get("type")
        if kind is not None and is_string(kind) and text_of(kind) in _MANY and "tools" in item:
            _read_late(item, (INPUT, index), reading, losses)
    if given is not None or reading.tools:
        request.tools = reading.tools


def _read_late(item: Members, where: Where, reading: _Reading, losses: Losses) -> None:
    """Tools in the input. One that has come before (a search may find it twice) counts once."""
    here: Where = (where, "tools")
    known = {_label(tool): tool for tool in reading.tools}
    for index, members in enumerate(open_objects(item["tools"], here)):
        before = len(reading.tools)
        reading.tool(members, (here, index))
        found = reading.tools[before:]
        del reading.tools[before:]
        for tool in found:
            other = known.setdefault(_label(tool), tool)
            if other is tool:
                reading.tools.append(tool)
            elif structs.replace(other, where=ROOT) != structs.replace(tool, where=ROOT):
                losses.add(tool.where, "another tool of its name came before it")


def _label(tool: AnyTool) -> bytes:
    return bytes(tool.raw) if isinstance(tool, ServerTool) else bytes(tool.name)


def is_late(tool: AnyTool) -> bool:
    """Whether the tool came in the input, and is written with it."""
    return dotted(tool.where).startswith("input.")


def _read_function(members: Members, where: Where) -> Tool:
    members.pop("type", None)
    tool = Tool(name=need_string(members, "name", where), where=where)
    tool.description = take_string(members, "description", where)
    tool.schema = take_object(members, "parameters", where)
    strict = take_flag(members, "strict", where)
    tool.strict = None if strict is None else Raw(encode(strict))
    tool.private = _private(members)
    return tool


def _read_custom(members: Members, where: Where) -> CustomTool:
    members.pop("type", None)
    name = need_string(members, "name", where)
    description = take_string(members, "description", where)
    tool = CustomTool(name=name, description=description, format=take_object(members, "format", where), where=where)
    tool.private = _private(members)
    return tool


def _private(members: Members) -> Members:
    """What others announce: only what says more than the default."""
    rest = leftovers(members)
    return {name: raw for name, raw in rest.items() if bytes(raw).replace(b" ", b"") != _SILENT.get(name)} if rest else rest


def _runs_elsewhere(members: Members) -> bool:
    """Whether OpenAI runs this shell in a container of its own."""
    return b"container" in bytes(members.get("environment", b""))[:48]


def _skills(members: Members, where: Where) -> str:
    """What a local shell's environment says the model may use."""
    raw = take(members, "environment")
    if raw is None:
        return ""
    here: Where = (where, "environment")
    skills = take(open_object(raw, here), "skills")
    place: Where = (here, "skills")
    lines = [
        f"\n- {need_text(skill, 'name', at)} ({take_text(skill, 'path', at)}): {take_text(skill, 'description', at)}"
        for index, skill in enumerate([] if skills is None else open_objects(skills, place))
        for at in ((place, index),)
    ]
    return "\nSkills that are installed there:" + "".join(lines) if lines else ""


def _read_server_tool(kind: str, members: Members, where: Where) -> ServerTool:
    tool = ServerTool(type=kind, raw=Raw(encode(members)), where=where)
    del members["type"]
    if kind.startswith("web_search"):
        tool.kind = "web_search"
        _read_search(tool, members)
    elif kind == "code_interpreter":
        tool.kind = "code_execution"
        if bytes(members.get("container", b"")).replace(b" ", b"") == _AUTO:
            del members["container"]
    tool.private = _private(members)
    return tool


def _read_search(tool: ServerTool, members: Members) -> None:
    where = tool.where
    tool.context_size = take_string(members, "search_context_size", where)
    tool.paths = {"context_size": (where, "search_context_size")}
    raw = take(members, "filters")
    if raw is not None:
        here: Where = (where, "filters")
        tool.paths |= {name: (here, name) for name in ("allowed_domains", "blocked_domains")}
        inside = open_object(raw, here)
        tool.allowed_domains = take(inside, "allowed_domains")
        tool.blocked_domains = take(inside, "blocked_domains")
        if rest := leftovers(inside):
            members["filters"] = Raw(encode(rest))
    place = take_object(members, "user_location", where)
    if place is not None:
        said = leftovers(open_object(place, (where, "user_location")))
        tool.user_location = Raw(encode({"type": "approximate", **said}))


# -- tool_choice -------------------------------------------------------------------------------------------------------


def read_tool_choice(members: Members, request: Request, kept: dict[str, Raw]) -> None:
    request.parallel_tools = take_flag(members, "parallel_tool_calls", ROOT)
    request.where["parallel_tools"] = (ROOT, "parallel_tool_calls")
    raw = take(members, "tool_choice")
    if raw is None:
        return
    where: Where = (ROOT, "tool_choice")
    if is_string(raw):
        word = text_of(raw)
        if word not in ("none", "auto", "required"):
            raise refuse(where, f"expected none, auto, required or an object, got {word!r}")
        request.tool_choice = ToolChoice(mode=word, where=where)  # type: ignore[arg-type]  # one of the three
    else:
        kept["tool_choice"] = raw
        request.tool_choice = _read_choice(raw, where, request)


def _read_choice(raw: Raw, where: Where, request: Request) -> ToolChoice:
    inside = open_object(raw, where)
    kind = need_text(dict(inside), "type", where)
    if kind == "allowed_tools":
        return _read_allowed(inside, where, request)
    if kind in ("function", "custom", *BUILT_IN):
        name = need_string(inside, "name", where) if kind in ("function", "custom") else Raw(encode(kind))
        name = full_name(name, inside, request.forms, where)
        del inside["type"]
        return ToolChoice(mode="tool", name=name, custom=kind == "custom", private=leftovers(inside), where=where)
    return ToolChoice(mode="auto", private=leftovers(inside), where=where)


def _read_allowed(inside: Members, where: Where, request: Request) -> ToolChoice:
    """`allowed` says it in Chat's form, which every writer knows; without the tools that OpenAI runs, which others have not."""
    mode = need_text(inside, "mode", where)
    if mode not in ("auto", "required"):
        raise refuse((where, "mode"), f"expected auto or required, got {mode!r}")
    place: Where = (where, "tools")
    names: list[str] = []
    said: list[object] = []
    for index, tool in enumerate(open_objects(need(inside, "tools", "an array", where), place)):
        here: Where = (place, index)
        kind = take_text(tool, "type", here) or "function"
        if kind in ("function", "custom", *BUILT_IN):
            name = need_string(tool, "name", here) if kind in ("function", "custom") else Raw(encode(kind))
            full = full_name(name, tool, request.forms, here)
            names.append(text_of(full))
            form = "custom" if kind == "custom" else "function"
            said.append({"type": form, form: {"name": full}})
    choice = ToolChoice(mode="allowed", names=names, required=mode == "required", where=where)
    choice.allowed = Raw(encode({"mode": mode, "tools": said}))
    inside.pop("type", None)
    choice.private = leftovers(inside)
    return choice
