"""Arguments of a call that Gemini streams as values at JSON paths (`partialArgs`, Vertex), put together. Calls no Sink.

Source: FunctionCall.partial_args, FunctionCall.will_continue and PartialArg in the API's reference; paths are RFC 9535's, of
which only names and indices occur: `$.a.b[0]`, `$['a b']`.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.dialects.gemini_event import members_of
from anyllm_fast.dialects.repair import ABSENT, HELD_MAX, MAX_DEPTH, is_object, objects, string
from anyllm_fast.neutral.spans import escaped, text_of

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,6})\]|\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]""")
_QUOTED: Final = re.compile(r"\\(.)")

Node = dict[str, "Node"] | list["Node"] | Raw
"""An object, an array, or a leaf: a JSON value as it is written."""
_NULL: Final = Raw(b"null")


class Call(msgspec.Struct, frozen=True):
    """What one functionCall object says. `args`: the whole arguments, as a span; None where they come in pieces."""

    ident: bytes
    name: bytes
    args: bytes | None
    goes_on: bool
    says_anything: bool


def read_call(function: bytes) -> Call:
    members = members_of(function)
    args = members.get("args", ABSENT)
    goes_on = bytes(members.get("willContinue", ABSENT)) == b"true"
    partial = bytes(members.get("partialArgs", ABSENT))[:1] == b"["
    name = string(members.get("name", ABSENT))
    return Call(
        string(members.get("id", ABSENT)),
        name,
        None if goes_on or partial else escaped(bytes(args)) if is_object(args) else b"{}",
        goes_on,
        bool(name or is_object(args) or partial or goes_on),
    )


class PartialCall:
    """The arguments of one call while they arrive. `too_much`: more than may be held."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.too_much = False
        self._root: dict[str, Node] = {}
        self._size = 0
        self._last: tuple[list[str | int], list[bytes]] | None = None  # the string that goes on, and its spans

    def feed(self, function: bytes) -> None:
        """One functionCall object that goes on with this call."""
        members = members_of(function)
        self._size += len(function)
        self.too_much = self._size > HELD_MAX
        if self.too_much:
            return
        for name, value in members_of(members.get("args", ABSENT)).items():
            self._root[name] = value
        for raw in objects(members.get("partialArgs", ABSENT)):
            self._add(members_of(raw))

    def finish(self) -> bytes:
        """The whole arguments, as a span."""
        self._flush()
        return escaped(_written(self._root))

    def _add(self, arg: dict[str, Raw]) -> None:
        path = _path(string(arg.get("jsonPath", ABSENT)))
        if not path:
            return
        if bytes(text := arg.get("stringValue", ABSENT))[:1] == b'"':
            if self._last is None or self._last[0] != path:
                self._flush()
                self._last = (path, [])
            self._last[1].append(string(text))
            if bytes(arg.get("willContinue", ABSENT)) != b"true":
                self._flush()
            return
        self._flush()
        for name in ("numberValue", "boolValue"):
            if bytes(value := arg.get(name, ABSENT)) not in (b"", b"null"):
                _put(self._root, path, value)
                return
        _put(self._root, path, _NULL)

    def _flush(self) -> None:
        if self._last is not None:
            path, spans = self._last
            self._last = None
            _put(self._root, path, Raw(b'"%b"' % b"".join(spans)))


def _path(span: bytes) -> list[str | int]:
    """The steps of a path; [] for one that cannot be followed."""
    try:
        text = text_of(span)
    except ValueError:
        return []
    steps: list[str | int] = []
    place = 1 if text.startswith("$") else 0
    if not place:
        text = "." + text
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None or len(steps) >= MAX_DEPTH - 2:
            return []
        place = match.end()
        if match[2]:
            steps.append(int(match[2]))
        else:
            quoted = match[3] if match[3] is not None else match[4]
            steps.append(match[1] or _QUOTED.sub(r"\1", quoted or ""))
    return steps


def _put(node: Node, path: list[str | int], leaf: Raw) -> None:
    """Sets the value at a path; what lies across it makes way. A place far behind the end of an array counts as the next one."""
    for at, step in enumerate(path):
        after: Node = leaf if at == len(path) - 1 else [] if isinstance(path[at + 1], int) else {}
        found: Node | None
        if isinstance(node, dict):
            name = str(step)
            found = node.get(name)
            if type(found) is not type(after) or found is None or isinstance(after, Raw):
                found = node[name] = after
        elif isinstance(node, list):
            place = min(step, len(node)) if isinstance(step, int) else len(node)
            if place == len(node):
                node.append(after)
            elif type(node[place]) is not type(after) or isinstance(after, Raw):
                node[place] = after
            found = node[place]
        else:
            return
        node = found


def _written(node: Node) -> bytes:
    match node:
        case dict():
            return b"{%b}" % b",".join(msgspec.json.encode(name) + b":" + _written(value) for name, value in node.items())
        case list():
            return b"[%b]" % b",".join(_written(value) for value in node)
        case _:
            return bytes(node)
