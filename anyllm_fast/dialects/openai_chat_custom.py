"""Calls of free-form tools on their way to a Chat client: type custom, their text taken out of the arguments. Both twins call it.

A call begins at once; its text leaves whole, when the arguments are complete or the reply stops, because only then is it known
what in them is the text.
"""

from __future__ import annotations

from collections.abc import Mapping

from anyllm_fast.dialects.order import Balance
from anyllm_fast.dialects.repair import HELD_MAX, HELD_TOO_MUCH
from anyllm_fast.neutral.custom_tools import input_of
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.spans import text_of
from anyllm_fast.neutral.stream import Failure


class CustomCalls:
    """Those of one reply. `forms`: StreamOptions.forms."""

    __slots__ = ("_forms", "_held", "_open")

    def __init__(self, forms: Mapping[bytes, ToolForm]) -> None:
        self._forms = forms
        self._open: dict[int, tuple[list[bytes], Balance] | None] = {}  # by the number of the call; None once its text has left
        self._held = 0

    def begin(self, count: int, name: bytes) -> bool:
        """Whether the client has this tool as a free-form one; then it is followed."""
        if not is_custom(self._forms, name):
            return False
        self._open[count] = [], Balance()
        return True

    def has(self, count: int) -> bool:
        return count in self._open

    def feed(self, count: int, span: bytes) -> bytes | Failure:
        """The entry of tool_calls with the text, if this piece of the arguments completes them; else b""."""
        found = self._open[count]
        if found is None:
            return b""
        self._held += len(span)
        if self._held > HELD_MAX:
            return HELD_TOO_MUCH
        spans, balance = found
        spans.append(span)
        balance.feed(span)
        return self._said(count) if balance.complete else b""

    def rest(self) -> list[bytes]:
        """The entries of those that never became complete."""
        return [self._said(count) for count, found in self._open.items() if found is not None]

    def _said(self, count: int) -> bytes:
        found = self._open[count]
        self._open[count] = None
        spans = b"".join(found[0]) if found is not None else b""
        self._held -= len(spans)
        return b'{"index":%d,"custom":{"input":"%b"}}' % (count, text_in(spans))


def is_custom(forms: Mapping[bytes, ToolForm], name: bytes) -> bool:
    form = forms.get(name)
    return form is not None and form.kind == "custom"


def text_in(args: bytes) -> bytes:
    """The span of the text in the arguments of a call, which are a span themselves; nothing in no arguments."""
    if not args:
        return b""
    try:
        return input_of(text_of(args).encode())
    except ValueError:  # not a sound string
        return args


def write_custom_call(count: int, ident: bytes, name: bytes) -> bytes:
    """The entry of tool_calls with which such a call begins."""
    return b'{"index":%d,"id":"%b","type":"custom","custom":{"name":"%b","input":""}}' % (count, ident, name)
