"""Says in plain text what the blocks hold that only Anthropic's servers make, for targets that have no such blocks.

Each sayer gets a block's members, takes what it says, and gives neutral parts: none at all where the model is not shown the
block, None where it cannot be said. Members that are left, in the block or in the objects inside it, are listed as unsaid. The
block itself is kept whole elsewhere, for Anthropic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_media import read_document, read_text
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    NULL,
    is_string,
    need,
    need_string,
    need_text,
    open_array,
    open_object,
    open_objects,
    string_of,
    take,
    take_flag,
    take_string,
    take_text,
    text_of,
    wrong,
)
from anyllm_fast.neutral.request import Foreign, Members, Part, Text

Said = list[Part] | None

_LINKS: Final = {"id", "tool_use_id"}  # which call a result is of: its place behind the call says so too
_DIRECT: Final = b'{"type":"direct"}'


class _Block:
    """A block while it is being said."""

    __slots__ = ("_opened", "members", "where")

    def __init__(self, members: Members, where: Where) -> None:
        self.members = members
        self.where = where
        self._opened: list[tuple[Members, Where]] = [(members, where)]

    def open(self, raw: Raw, where: Where) -> Members:
        members = open_object(raw, where)
        self._opened.append((members, where))
        return members

    def open_all(self, raw: Raw, where: Where) -> list[Members]:
        found = open_objects(raw, where)
        self._opened += [(members, (where, index)) for index, members in enumerate(found)]
        return found

    def unsaid(self) -> list[Where]:
        return [
            (where, name)
            for members, where in self._opened
            for name, raw in members.items()
            if raw != NULL and name not in _LINKS and name != "type" and not (name == "caller" and _is_direct(raw))
        ]

    def text(self, text: str) -> list[Part]:
        return [Text(text=string_of(text), where=self.where)]

    def content(self) -> tuple[Members, str, Where]:
        """The `content` object of a result block, its type, and its path."""
        here: Where = (self.where, "content")
        content = self.open(need(self.members, "content", "an object", self.where), here)
        return content, need_text(content, "type", here), here


def _is_direct(raw: Raw) -> bool:
    return bytes(raw).replace(b" ", b"") == _DIRECT


def say(foreign: Foreign, members: Members) -> None:
    """Sets the parts and unsaid paths of a block, if it is of a kind that is known. Takes members out."""
    sayer = _SAYERS.get(foreign.type)
    if sayer is not None:
        block = _Block(members, foreign.where)
        foreign.parts = sayer(block)
        foreign.unsaid = block.unsaid()


def _failure(content: Members, kind: str, where: Where) -> str | None:
    """What an error in place of a result says; None if it is a result."""
    if not kind.endswith("_error"):
        return None
    code = need_text(content, "error_code", where)
    message = take_text(content, "error_message", where)
    return f"[{kind.removesuffix('_tool_result_error')} failed: {code}{f', {message}' if message else ''}]"


def _server_call(block: _Block) -> Said:
    server = take_text(block.members, "server_name", block.where)
    name = need_text(block.members, "name", block.where)
    given = take(block.members, "input")
    arguments = "{}" if given is None else bytes(given).decode()
    return block.text(f"[{f'{server}: ' if server else ''}{name} {arguments}]")


def _searches(block: _Block) -> Said:
    raw = need(block.members, "content", "an array or an object", block.where)
    if memoryview(raw)[0] == 0x7B:
        block.members["content"] = raw
        content, kind, here = block.content()
        return block.text(_failure(content, kind, here) or f"[{kind}]")
    where: Where = (block.where, "content")
    lines: list[str] = []
    for index, result in enumerate(block.open_all(raw, where)):
        place = (where, index)
        age = take_text(result, "page_age", place)
        lines.append(f"{need_text(result, 'title', place)}\n{need_text(result, 'url', place)}{f' ({age})' if age else ''}")
    return block.text("\n\n".join(lines) or "[web_search: no results]")


def _fetch(block: _Block) -> Said:
    content, kind, here = block.content()
    failure = _failure(content, kind, here)
    if failure is not None:
        return block.text(failure)
    url, at = need_text(content, "url", here), take_text(content, "retrieved_at", here)
    place: Where = (here, "content")
    document = open_object(need(content, "content", "an object", here), place)
    document.pop("type", None)
    return [*block.text(f"{url} ({at})" if at else url), read_document(document, place)]


def _execution(block: _Block) -> Said:
    content, kind, here = block.content()
    failure = _failure(content, kind, here)
    if failure is not None:
        return block.text(failure)
    lines = [take_text(content, "stdout", here), take_text(content, "stderr", here)]
    code = take(content, "return_code")
    lines.append(None if code is None else f"[exit code {bytes(code).decode()}]")
    files = take(content, "content")
    if files is not None:
        place: Where = (here, "content")
        for index, file in enumerate(block.open_all(files, place)):
            lines.append(f"[file {need_text(file, 'file_id', (place, index))}]")
    return block.text("\n".join(line for line in lines if line))


def _edit(block: _Block) -> Said:
    content, kind, here = block.content()
    said = _failure(content, kind, here)
    if said is None and kind.endswith("_view_result"):
        said = need_text(content, "content", here)
    elif said is None and kind.endswith("_create_result"):
        said = "[file updated]" if take_flag(content, "is_file_update", here) else "[file created]"
    elif said is None:
        said = _hunk(content, here)
    return block.text(said or "[done]")


def _hunk(content: Members, where: Where) -> str:
    """A replacement in the way that diff writes one."""
    places = [take(content, name) for name in ("old_start", "old_lines", "new_start", "new_lines")]
    first, second, third, fourth = ("" if place is None else bytes(place).decode() for place in places)
    lines = [f"@@ -{first},{second} +{third},{fourth} @@"] if any(place is not None for place in places) else []
    raw = take(content, "lines")
    place: Where = (where, "lines")
    for index, line in enumerate([] if raw is None else open_array(raw, place)):
        if not is_string(line):
            raise wrong(line, "a string", (place, index))
        lines.append(text_of(line))
    return "\n".join(lines)


def _found_tools(block: _Block) -> Said:
    content, kind, here = block.content()
    failure = _failure(content, kind, here)
    if failure is not None:
        return block.text(failure)
    place: Where = (here, "tool_references")
    references = block.open_all(need(content, "tool_references", "an array", here), place)
    names = [need_text(reference, "tool_name", (place, index)) for index, reference in enumerate(references)]
    return block.text(f"[tools found: {', '.join(names) or 'none'}]")


def _reference(block: _Block) -> Said:
    return block.text(f"[tool found: {need_text(block.members, 'tool_name', block.where)}]")


def _search_result(block: _Block) -> Said:
    head = f"{need_text(block.members, 'title', block.where)}\n{need_text(block.members, 'source', block.where)}"
    citations = take(block.members, "citations")
    if citations is not None:
        switch = block.open(citations, (block.where, "citations"))
        if switch.get("enabled") == Raw(b"false"):
            del switch["enabled"]
    return [*block.text(head), *_texts(need(block.members, "content", "an array", block.where), (block.where, "content"))]


def _texts(raw: Raw, where: Where) -> list[Part]:
    """A string, or text blocks with all that they have."""
    if is_string(raw):
        return [Text(text=raw, where=where)]
    found: list[Part] = []
    for index, members in enumerate(open_objects(raw, where)):
        members.pop("type", None)
        found.append(read_text(members, (where, index)))
    return found


def _mcp_result(block: _Block) -> Said:
    raw = take(block.members, "content")
    parts = [] if raw is None else _texts(raw, (block.where, "content"))
    if take_flag(block.members, "is_error", block.where):
        return [*block.text("Error:"), *parts]
    return parts or block.text("[no output]")


def _advice(block: _Block) -> Said:
    content, kind, here = block.content()
    failure = _failure(content, kind, here)
    if failure is not None:
        return block.text(failure)
    return block.text(need_text(content, "text", here)) if kind == "advisor_result" else []


def _compaction(block: _Block) -> Said:
    summary = take_string(block.members, "content", block.where)
    if block.members.get("tool_changes") == Raw(b"[]"):
        del block.members["tool_changes"]
    return [] if summary is None else [Text(text=summary, where=block.where)]


def _browser(block: _Block) -> Said:
    lines: list[str] = []
    place: Where = (block.where, "tabs")
    for index, tab in enumerate(block.open_all(need(block.members, "tabs", "an array", block.where), place)):
        here = (place, index)
        active = "active " if take_flag(tab, "active", here) else ""
        ident, title = need_text(tab, "tab_id", here), need_text(tab, "title", here)
        lines.append(f"[{active}tab {ident}] {title} {need_text(tab, 'url', here)}")
    changes = take(block.members, "state_changes")
    place = (block.where, "state_changes")
    for index, change in enumerate([] if changes is None else open_objects(changes, place)):
        kind = take_text(change, "type", (place, index))
        said = ", ".join(f"{name} {bytes(raw).decode()}" for name, raw in change.items())
        lines.append(f"[{kind}: {said}]")
    return block.text("\n".join(lines))


def _addition(block: _Block) -> Said:
    """A reference to a declared tool is honoured when the tools are read, and a definition read as one of them."""
    here: Where = (block.where, "tool")
    tool = block.open(need(block.members, "tool", "an object", block.where), here)
    kind = need_text(tool, "type", here)
    if kind == "tool_reference":
        need_text(tool, "name", here)
    tool.pop("definition", None)
    return []


def _instruction(block: _Block) -> Said:
    """Something for Anthropic's servers, or (fallback) for a person: the model is not shown it, so nothing is said and all of it
    is announced."""
    return []


def _upload(block: _Block) -> Said:
    """A file for the code that Anthropic runs: others are told of it, and that they cannot have it is announced."""
    ident = need_string(block.members, "file_id", block.where)
    block.members["file_id"] = ident
    return block.text(f"[file {text_of(ident)}]")


_SAYERS: Final[dict[str, Callable[[_Block], Said]]] = {
    "server_tool_use": _server_call,
    "mcp_tool_use": _server_call,
    "web_search_tool_result": _searches,
    "web_fetch_tool_result": _fetch,
    "code_execution_tool_result": _execution,
    "bash_code_execution_tool_result": _execution,
    "text_editor_code_execution_tool_result": _edit,
    "tool_search_tool_result": _found_tools,
    "mcp_tool_result": _mcp_result,
    "advisor_tool_result": _advice,
    "search_result": _search_result,
    "tool_reference": _reference,
    "browser_state": _browser,
    "compaction": _compaction,
    "tool_addition": _addition,
    "tool_removal": _instruction,
    "mcp_tool_listing": _instruction,
    "fallback": _instruction,
    "container_upload": _upload,
}
