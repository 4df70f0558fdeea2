"""Free-form tools (OpenAI's custom tools) for targets that have only functions. Knows no dialect.

Such a tool goes as a function with one string argument, `input`; the grammar that its text has to follow is told in the
description, because a function has no other place for it. A call has the arguments `{"input": "the text"}`.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast.neutral.members import is_string, string_of, text_of
from anyllm_fast.neutral.request import CustomTool, Tool

SCHEMA: Final = Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain text."}},'
    b'"required":["input"],"additionalProperties":false}'
)
OPEN: Final = rb"{\"input\":\""
"""How the arguments of a call begin, as a span: the text follows, escaped once more (`deeper`), then CLOSE."""
CLOSE: Final = rb"\"}"


class _Input(msgspec.Struct):
    input: Raw = Raw()


class _Grammar(msgspec.Struct):
    syntax: str = ""
    definition: str = ""


class _Format(msgspec.Struct):
    type: str = ""
    syntax: str = ""
    definition: str = ""
    grammar: _Grammar | None = None


_decode_input = msgspec.json.Decoder(_Input).decode
_decode_format = msgspec.json.Decoder(_Format).decode


def as_function(tool: CustomTool) -> Tool:
    """The tool as a function; `private` and `inner` stay with the custom tool, for the writer to announce."""
    text = "" if tool.description is None else text_of(tool.description)
    grammar = _grammar_of(tool.format)
    if grammar:
        text = f"{text}\n\n{grammar}" if text else grammar
    return Tool(name=tool.name, description=string_of(text) if text else None, schema=SCHEMA, where=tool.where)


def _grammar_of(raw: Raw | None) -> str:
    if raw is None:
        return ""
    try:
        form = _decode_format(raw)
    except msgspec.MsgspecError:
        return ""
    said = form.grammar or form
    return f"The input has to follow this {said.syntax} grammar:\n{said.definition}" if said.definition else ""


def args_of(text: Raw) -> Raw:
    """The arguments of a call whose input is the JSON string `text`."""
    return Raw(b'{"input":%b}' % bytes(text))


def input_of(args: bytes) -> bytes:
    """The span of the text in a call's arguments (JSON text, not escaped); the arguments where a model wrote others."""
    try:
        raw = _decode_input(args).input
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raw = Raw()
    if bytes(raw) and is_string(raw):
        return bytes(raw)[1:-1]
    return bytes(string_of(args.decode("utf-8", "replace")))[1:-1]


def deeper(span: bytes) -> bytes:
    """A span escaped once more: the inside of a JSON string inside a JSON string."""
    return span.replace(b"\\", rb"\\").replace(b'"', rb"\"")
