"""Says in plain text what the blocks hold that only Anthropic's servers make, for targets that have no such blocks.

Each reader gets a block's members and gives neutral parts, and whether they leave something out (see Foreign.lossy). No parts at
all means that the model is not shown the block; None, that it cannot be said. The block itself is kept whole elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.anthropic_media import read_document
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
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
from anyllm_fast.neutral.request import Members, Part, Text

Said = tuple[list[Part] | None, bool]


def _text(text: str, where: Where) -> list[Part]:
    return [Text(text=string_of(text), where=where)]


def _inside(members: Members, where: Where) -> tuple[Members, str, Where]:
    """The `content` object of a result block, its type, and its path."""
    here = (where, "content")
    content = open_object(need(members, "content", "an object", where), here)
    return content, need_text(content, "type", here), here


def _failure(content: Members, kind: str, where: Where) -> str | None:
    """What an error in place of a result says; None if it is a result."""
    if not kind.endswith("_error"):
        return None
    code = need_text(content, "error_code", where)
    message = take_text(content, "error_message", where)
    return f"[{kind.removesuffix('_tool_result_error')} failed: {code}{f', {message}' if message else ''}]"


def _server_call(members: Members, where: Where) -> Said:
    server = take_text(members, "server_name", where)
    name = need_text(members, "name", where)
    given = take(members, "input")
    arguments = "{}" if given is None else bytes(given).decode()
    return _text(f"[{f'{server}: ' if server else ''}{name} {arguments}]", where), False


def _searches(members: Members, where: Where) -> Said:
    raw = need(members, "content", "an array or an object", where)
    here: Where = (where, "content")
    if memoryview(raw)[0] == 0x7B:
        content, kind, here = _inside({"content": raw}, where)
        return _text(_failure(content, kind, here) or f"[{kind}]", where), False
    lines: list[str] = []
    for index, result in enumerate(open_objects(raw, here)):
        place = (here, index)
        age = take_text(result, "page_age", place)
        lines.append(f"{need_text(result, 'title', place)}\n{need_text(result, 'url', place)}{f' ({age})' if age else ''}")
    return _text("\n\n".join(lines) or "[web_search: no results]", where), bool(lines)


def _fetch(members: Members, where: Where) -> Said:
    content, kind, here = _inside(members, where)
    failure = _failure(content, kind, here)
    if failure is not None:
        return _text(failure, where), False
    url = need_text(content, "url", here)
    place = (here, "content")
    document = open_object(need(content, "content", "an object", here), place)
    document.pop("type", None)
    return [*_text(url, where), read_document(document, place)], False


def _execution(members: Members, where: Where) -> Said:
    content, kind, here = _inside(members, where)
    failure = _failure(content, kind, here)
    if failure is not None:
        return _text(failure, where), False
    sealed = "encrypted_stdout" in content
    lines = [take_text(content, "stdout", here), take_text(content, "stderr", here)]
    code = take(content, "return_code")
    lines.append(None if code is None else f"[exit code {bytes(code).decode()}]")
    files = take(content, "content")
    if files is not None:
        for index, file in enumerate(open_objects(files, (here, "content"))):
            lines.append(f"[file {need_text(file, 'file_id', ((here, 'content'), index))}]")
    return _text("\n".join(line for line in lines if line), where), sealed


def _edit(members: Members, where: Where) -> Said:
    content, kind, here = _inside(members, where)
    said = _failure(content, kind, here)
    if said is None and kind.endswith("_view_result"):
        said = need_text(content, "content", here)
    elif said is None and kind.endswith("_create_result"):
        said = "[file updated]" if take_flag(content, "is_file_update", here) else "[file created]"
    elif said is None:
        raw = take(content, "lines")
        place = (here, "lines")
        said = "\n".join(_line(line, (place, index)) for index, line in enumerate(open_array(raw, place) if raw else []))
    return _text(said or "[done]", where), False


def _line(raw: Raw, where: Where) -> str:
    if not is_string(raw):
        raise wrong(raw, "a string", where)
    return text_of(raw)


def _found_tools(members: Members, where: Where) -> Said:
    content, kind, here = _inside(members, where)
    failure = _failure(content, kind, here)
    if failure is not None:
        return _text(failure, where), False
    place = (here, "tool_references")
    references = open_objects(need(content, "tool_references", "an array", here), place)
    names = [need_text(reference, "tool_name", (place, index)) for index, reference in enumerate(references)]
    return _text(f"[tools found: {', '.join(names) or 'none'}]", where), False


def _reference(members: Members, where: Where) -> Said:
    return _text(f"[tool found: {need_text(members, 'tool_name', where)}]", where), False


def _search_result(members: Members, where: Where) -> Said:
    head = f"{need_text(members, 'title', where)}\n{need_text(members, 'source', where)}"
    texts = _texts(need(members, "content", "an array", where), (where, "content"))
    citations = take(members, "citations")
    cited = citations is not None and open_object(citations, (where, "citations")).get("enabled") == Raw(b"true")
    return _text("\n\n".join([head, *texts]), where), cited


def _texts(raw: Raw, where: Where) -> list[str]:
    if is_string(raw):
        return [text_of(raw)]
    return [need_text(members, "text", (where, index)) for index, members in enumerate(open_objects(raw, where))]


def _mcp_result(members: Members, where: Where) -> Said:
    raw = take(members, "content")
    text = "\n".join(_texts(raw, (where, "content"))) if raw else ""
    return _text(f"Error: {text}" if take_flag(members, "is_error", where) else text or "[no output]", where), False


def _advice(members: Members, where: Where) -> Said:
    content, kind, here = _inside(members, where)
    failure = _failure(content, kind, here)
    if failure is not None:
        return _text(failure, where), False
    if kind == "advisor_result":
        return _text(need_text(content, "text", here), where), False
    return [], True


def _compaction(members: Members, where: Where) -> Said:
    summary = take_string(members, "content", where)
    changed = take(members, "tool_changes")
    if summary is None:
        return [], take(members, "encrypted_content") is not None
    return [Text(text=summary, where=where)], changed is not None and bytes(changed) != b"[]"


def _browser(members: Members, where: Where) -> Said:
    lines: list[str] = []
    place: Where = (where, "tabs")
    for index, tab in enumerate(open_objects(need(members, "tabs", "an array", where), place)):
        here = (place, index)
        active = "active " if take_flag(tab, "active", here) else ""
        lines.append(
            f"[{active}tab {need_text(tab, 'tab_id', here)}] {need_text(tab, 'title', here)} {need_text(tab, 'url', here)}"
        )
    changes = take(members, "state_changes")
    for change in open_objects(changes, (where, "state_changes")) if changes else []:
        kind = take_text(change, "type", where)
        said = ", ".join(f"{name} {bytes(raw).decode()}" for name, raw in change.items())
        lines.append(f"[{kind}: {said}]")
    return _text("\n".join(lines), where), False


def _tool_change(members: Members, where: Where) -> Said:
    """A reference to a declared tool is honoured when the tools are read; a definition has no other place to go."""
    here = (where, "tool")
    tool = open_object(need(members, "tool", "an object", where), here)
    kind = need_text(tool, "type", here)
    return (None, False) if kind == "tool_definition" else ([], kind != "tool_reference")


def _removal(members: Members, where: Where) -> Said:
    need(members, "tool", "an object", where)
    return [], True


def _unshown(members: Members, where: Where) -> Said:
    return [], False


def _instruction(members: Members, where: Where) -> Said:
    return [], True


def _unsayable(members: Members, where: Where) -> Said:
    need_string(members, "file_id", where)
    return None, False


PLAIN: Final[dict[str, Callable[[Members, Where], Said]]] = {
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
    "tool_addition": _tool_change,
    "tool_removal": _removal,
    "mcp_tool_listing": _instruction,
    "fallback": _unshown,
    "container_upload": _unsayable,
}
