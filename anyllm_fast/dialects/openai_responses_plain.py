"""Says in plain text what the items hold that only OpenAI's servers make, for targets that have no such items.

Each sayer gets an item's members, takes what it says, and gives neutral parts: none at all where the model is not shown the item,
None where it cannot be said. Members that are left, in the item or in the objects inside it, are listed as unsaid. The item
itself is kept whole elsewhere, for OpenAI.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Raw

from anyllm_fast.dialects.openai_responses_parts import read_part
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    NULL,
    is_string,
    need,
    need_text,
    open_array,
    open_object,
    open_objects,
    string_of,
    take,
    take_flag,
    take_text,
    text_of,
)
from anyllm_fast.neutral.request import Members, Part, Text

Said = list[Part] | None
Role = Literal["user", "assistant", "system"]

SUMMARY: Final = b'"anyllm:summary:'
"""How `encrypted_content` begins where no vendor has encrypted it: the text of a summary follows."""

_LINKS: Final = frozenset({"type", "id", "call_id", "status", "execution", "created_by", "role", "fingerprint"})
"""What belongs to what: the order of the items says it too."""
_EMPTY: Final = (b"[]", b"{}", b'""')
_SEALED: Final = b'"gAAAA'  # how what OpenAI has encrypted begins


class _Item:
    """An item while it is being said."""

    __slots__ = ("_opened", "members", "where")

    def __init__(self, members: Members, where: Where) -> None:
        self.members = members
        self.where = where
        self._opened: list[tuple[Members, Where]] = [(members, where)]

    def open(self, raw: Raw, where: Where) -> Members:
        members = open_object(raw, where)
        self._opened.append((members, where))
        return members

    def open_all(self, name: str) -> list[tuple[Members, Where]]:
        """The objects in the array `name`; none where it is absent."""
        raw = take(self.members, name)
        where: Where = (self.where, name)
        items = [] if raw is None else open_objects(raw, where)
        found: list[tuple[Members, Where]] = [(members, (where, at)) for at, members in enumerate(items)]
        self._opened += found
        return found

    def unsaid(self) -> list[Where]:
        return [
            (where, name)
            for members, where in self._opened
            for name, raw in members.items()
            if raw != NULL and name not in _LINKS and bytes(raw) not in _EMPTY
        ]

    def text(self, text: str) -> list[Part]:
        return [Text(text=string_of(text), where=self.where)]

    def need(self, name: str) -> str:
        return need_text(self.members, name, self.where)

    def take(self, name: str) -> str:
        return take_text(self.members, name, self.where) or ""

    def json(self, name: str) -> str:
        """A member as JSON text, whatever it is; a string as what it says."""
        raw = take(self.members, name)
        if raw is None:
            return ""
        return text_of(raw) if is_string(raw) else bytes(raw).decode()


def say(kind: str, members: Members, where: Where) -> tuple[Role, Said, list[Where]]:
    """(whose turn it is in, parts, unsaid paths) of an item that is no message, call or result. Takes members out."""
    role, sayer = _SAYERS.get(kind, ("assistant", _unsayable))
    item = _Item(members, where)
    said = sayer(item)
    return role, said, item.unsaid()


def _unshown(item: _Item) -> Said:
    """What a search found is in the answer that follows it; that there was one is not said again, but announced."""
    return []


def _trigger(item: _Item) -> Said:
    """It has nothing but its type, so that is announced."""
    item.members["compact"] = Raw(b"true")
    return []


def _unsayable(item: _Item) -> Said:
    return None


def _files(item: _Item) -> Said:
    raw = take(item.members, "queries")
    queries = [] if raw is None else open_array(raw, (item.where, "queries"))
    lines = [f"[file search: {', '.join(text_of(query) for query in queries if is_string(query))}]"]
    for result, where in item.open_all("results"):
        lines += [text for name in ("filename", "text") if (text := take_text(result, name, where))]
    return item.text("\n".join(lines))


def _computer(item: _Item) -> Said:
    action = item.json("action")
    actions = item.json("actions")
    return item.text(f"[computer: {actions or action}]")


def _screenshot(item: _Item) -> Said:
    where: Where = (item.where, "output")
    output = open_object(need(item.members, "output", "an object", item.where), where)
    part, _ = read_part({**output, "type": output.get("type", Raw(b'"computer_screenshot"'))}, where)
    return [part]


def _code(item: _Item) -> Said:
    lines = [f"[code]\n{item.take('code')}"]
    for output, where in item.open_all("outputs"):
        logs, url = take_text(output, "logs", where), take_text(output, "url", where)
        lines += [f"[output]\n{logs}"] if logs is not None else [f"[picture {url}]"] if url is not None else []
    return item.text("\n".join(lines))


def _image(item: _Item) -> Said:
    prompt = item.take("revised_prompt")
    return item.text(f"[picture made{f': {prompt}' if prompt else ''}]")


def _mcp_tools(item: _Item) -> Said:
    server, error = item.need("server_label"), item.json("error")
    names = [need_text(tool, "name", where) for tool, where in item.open_all("tools")]
    return item.text(f"[tools of {server}: {', '.join(names) or 'none'}{f'; error: {error}' if error else ''}]")


def _mcp_call(item: _Item) -> Said:
    server, name, arguments = item.need("server_label"), item.need("name"), item.take("arguments")
    output, error = item.take("output"), item.json("error")
    said = f"[{server}: {name} {arguments}]"
    return item.text("\n".join(line for line in (said, f"Error: {error}" if error else "", output) if line))


def _mcp_question(item: _Item) -> Said:
    return item.text(f"[may {item.need('server_label')}: {item.need('name')} {item.take('arguments')} be called?]")


def _mcp_answer(item: _Item) -> Said:
    item.members.pop("approval_request_id", None)
    reason = item.take("reason")
    word = "yes" if take_flag(item.members, "approve", item.where) else "no"
    return item.text(f"[{word}{f': {reason}' if reason else ''}]")


def _tool_search(item: _Item) -> Said:
    return item.text(f"[tool search {item.json('arguments')}]")


def _tools_found(item: _Item) -> Said:
    """The tools themselves are read with the others (openai_responses_tools.py)."""
    raw = take(item.members, "tools")
    where: Where = (item.where, "tools")
    found = [] if raw is None else open_objects(raw, where)
    names = [take_text(tool, "name", (where, at)) or need_text(tool, "type", (where, at)) for at, tool in enumerate(found)]
    return item.text(f"[tools found: {', '.join(names) or 'none'}]")


def _more_tools(item: _Item) -> Said:
    """The same holds for these; the model is shown nothing else."""
    item.members.pop("tools", None)
    return []


def _configuration(item: _Item) -> Said:
    """The effort is the turn's own (Turn.effort)."""
    reasoning = take(item.members, "reasoning")
    if reasoning is not None:
        item.open(reasoning, (item.where, "reasoning")).pop("effort", None)
    return []


def _program(item: _Item) -> Said:
    return item.text(f"[program]\n{item.need('code')}")


def _program_output(item: _Item) -> Said:
    return item.text(f"[output of the program]\n{item.need('result')}")


def _summary(item: _Item) -> Said:
    """What OpenAI has compacted only OpenAI can read."""
    raw = item.members.get("encrypted_content", Raw(b'""'))
    if not bytes(raw).startswith(SUMMARY):
        return None
    del item.members["encrypted_content"]
    return [Text(text=Raw(b'"' + bytes(raw)[len(SUMMARY) :]), where=item.where)]


def _shell(item: _Item) -> Said:
    """A shell in OpenAI's own container; one that the client runs is a call like any other."""
    return item.text(f"[shell {item.json('action')}]")


def _shell_output(item: _Item) -> Said:
    return item.text(f"[output of the shell]\n{shell_text(item.members, item.where)}")


def shell_text(members: Members, where: Where) -> str:
    """What the commands of a shell call gave, as text: takes `output`."""
    here: Where = (where, "output")
    lines: list[str] = []
    for at, output in enumerate(open_objects(need(members, "output", "an array", where), here)):
        place: Where = (here, at)
        lines += [text for name in ("stdout", "stderr") if (text := take_text(output, name, place))]
        raw = take(output, "outcome")
        outcome = {} if raw is None else open_object(raw, (place, "outcome"))
        if bytes(outcome.get("type", b"")) == b'"timeout"':
            lines.append("[timed out]")
        elif "exit_code" in outcome:
            lines.append(f"[exit code {bytes(outcome['exit_code']).decode()}]")
    return "\n".join(lines)


def _agent(item: _Item) -> Said:
    """What another agent of the client's says. A model of another vendor wrote plain text where OpenAI's would encrypt it."""
    author, recipient = item.take("author"), item.take("recipient")
    parts = item.text(f"[message from {author or 'another agent'}{f' to {recipient}' if recipient else ''}]")
    for content, where in item.open_all("content"):
        secret = content.get("encrypted_content")
        if secret is not None and is_string(secret):
            if bytes(secret).startswith(_SEALED):
                continue
            content.clear()
            parts.append(Text(text=secret, where=where))
        else:
            part, _ = read_part(dict(content), where)
            content.clear()
            parts.append(part)
    return parts


_SAYERS: Final[dict[str, tuple[Role, Callable[[_Item], Said]]]] = {
    "web_search_call": ("assistant", _unshown),
    "file_search_call": ("assistant", _files),
    "computer_call": ("assistant", _computer),
    "computer_call_output": ("user", _screenshot),
    "code_interpreter_call": ("assistant", _code),
    "image_generation_call": ("assistant", _image),
    "mcp_list_tools": ("assistant", _mcp_tools),
    "mcp_call": ("assistant", _mcp_call),
    "mcp_approval_request": ("assistant", _mcp_question),
    "mcp_approval_response": ("user", _mcp_answer),
    "tool_search_call": ("assistant", _tool_search),
    "tool_search_output": ("assistant", _tools_found),
    "additional_tools": ("system", _more_tools),
    "configuration_update": ("system", _configuration),
    "program": ("assistant", _program),
    "program_output": ("assistant", _program_output),
    "compaction": ("user", _summary),
    "compaction_summary": ("user", _summary),
    "compaction_trigger": ("user", _trigger),
    "shell_call": ("assistant", _shell),
    "shell_call_output": ("assistant", _shell_output),
    "agent_message": ("user", _agent),
}
