"""Streams of OpenAI Responses: Sink events to events, and what the bypass asks. Reading is openai_responses_decoder.py's.

`ResponsesEncoder` is the Python twin of native/openai_responses_encoder.pxi and gives the same bytes.
"""

from __future__ import annotations

import re
from typing import Final

from anyllm_fast.dialects.openai_responses_decoder import ResponsesDecoder
from anyllm_fast.dialects.openai_responses_ends import KEPT_MAX, KEPT_TOO_MUCH, write_failure
from anyllm_fast.dialects.openai_responses_event import read_event
from anyllm_fast.dialects.openai_responses_writer import Writer
from anyllm_fast.dialects.order import CALL, NOTHING, TEXT, THINKING, Ordered
from anyllm_fast.dialects.repair import Malformed, string
from anyllm_fast.neutral.stream import Failure, StopReason, StreamOptions
from anyllm_fast.wire.pipe import Watched

__all__ = ["WATCHED", "ResponsesDecoder", "ResponsesEncoder"]


class ResponsesEncoder(Ordered):
    """Events for one client. The dialect is serial: one item after the other, see order.py."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self._options = options
        self._writer = Writer(options)
        self._text: list[bytes] = []  # of the open block or call
        self._kept = 0  # bytes of all texts
        self._reason: StopReason = "end_turn"

    def _keep(self, span: bytes) -> None:
        self._kept += len(span)
        if self._kept > KEPT_MAX:
            self.fail(KEPT_TOO_MUCH)

    def _piece(self, span: bytes) -> None:
        writer = self._writer
        self._out += (writer.head, b"%d" % writer.number, writer.middle, span, writer.tail)
        writer.number += 1

    def _write_start(self) -> None:
        self._out.append(self._writer.start())

    def _write_open(self, kind: int) -> None:
        self._text.clear()
        self._out.append(self._writer.open(kind))

    def _write_piece(self, kind: int, span: bytes) -> None:
        if kind == THINKING and not self._text:
            self._out.append(self._writer.open_summary())
        self._text.append(span)
        self._piece(span)
        self._keep(span)

    def _write_seal(self, signature: bytes) -> None:
        self._writer.seal(signature)
        self._keep(signature)

    def _write_close(self, kind: int) -> None:
        text = b"".join(self._text)
        self._text.clear()
        self._out.append(
            self._writer.close_call(text, self._balance.complete) if kind == CALL else self._writer.close(kind, text)
        )

    def _write_redacted(self, data: bytes) -> None:
        self._out.append(self._writer.redacted(data))
        self._keep(data)

    def _write_call(self, count: int, ident: bytes, name: bytes) -> None:
        self._text.clear()
        self._out.append(self._writer.open_call(ident, name))

    def _write_args(self, count: int, span: bytes) -> None:
        self._text.append(span)
        if self._writer.pieces:
            self._piece(span)
        self._keep(span)

    def _carry(self, name: bytes, raw: bytes) -> bool:
        """Annotations and citations go to the text that is open, or to the next one. Whole items close what is open."""
        if name in (b"annotation", b"citation"):
            written = self._writer.note(self._open, name, raw)
        elif name == b"logprobs":
            written = self._writer.logprobs(raw) if self._open == TEXT else None
        elif self._writer.is_item(name, raw):
            if not self._turn_to(NOTHING):
                return True
            written = self._writer.item(name, raw)
        else:
            return False
        if written is None:
            return False
        self._out.append(written)
        self._keep(raw)
        return True

    def _write_stop(self, reason: StopReason, sequence: bytes | None) -> None:
        for name in self._writer.forgotten():
            self._lose(name)
        if sequence is not None:
            self._lose(b"stop_sequence")
        self._reason = reason
        self._out.append(self._writer.stop(reason))

    def _write_end(self) -> None:
        self._out.append(self._writer.end(self._reason, self.counts))

    def _write_failure(self, failure: Failure) -> None:
        self._out.append(self._writer.failed(self.counts, failure))


# -- the bypass --------------------------------------------------------------------------------------------------------

_DELTA_FIRST: Final = re.compile(rb'\{"type": ?"response\.[a-z_.]*\.delta"')
_DELTA_LAST: Final = re.compile(rb'[,{] ?"type": ?"response\.[a-z_.]*\.delta"\}\Z')


def _is_plain(event: bytes, data: bytes, committed: bool) -> bool:
    """A delta of any kind, told by its type where that comes first or last."""
    return bool(_DELTA_FIRST.match(data) or _DELTA_LAST.search(data[-64:]))


def _is_error(event: bytes, data: bytes) -> bool:
    """What clients take for the end of a reply that went wrong."""
    try:
        kind = string(read_event(data)[0].type) or event
    except Malformed:
        return False
    return kind in (b"error", b"response.failed")


WATCHED: Final = Watched(ResponsesDecoder, _is_plain, _is_error, write_failure, b"")
