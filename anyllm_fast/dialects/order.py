"""The outgoing automaton: what every encoder does about order, whatever its dialect. Writes no bytes itself.

What goes out is strict: one start, blocks opened and closed in order, one stop reason, the terminator only after a clean end,
nothing after it. What comes in is not: decoders report calls as the upstream sends them, and upstreams interleave. So there are
two sorts of encoder. Where the dialect itself interleaves (Chat: every piece of arguments names its call) a call is written when
it comes. Where it is serial (Anthropic: one block after the other) a call whose arguments are not complete keeps its block open,
and what comes meanwhile for anything else is held, in order and bounded, until they are (`Balance` knows) or the reply stops.

Held events are not kept per call but as one list of what happened. Draining it runs it through the same methods again; what still
cannot leave is held again, behind nothing but what was before it. At the stop nothing more can come, so each round of draining
writes the first held block whole: its arguments pass, all others wait for the next round.

The start is written with the first thing that a client would act on, not before: so it can carry usage that came early, and a
reply that fails at once is a failure and nothing else.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from anyllm_fast.dialects.repair import HELD_MAX, HELD_TOO_MUCH, MAX_CALLS, TOO_MANY_CALLS
from anyllm_fast.neutral.stream import Failure, Remembered, StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage

NOTHING, TEXT, REFUSAL, THINKING, CALL = range(5)
MAX_LOSSES: Final = 64
RECORD: Final = 16
"""What a held event counts beside its bytes."""

LATE_ARGUMENTS: Final = Failure("api", "the upstream sent arguments for a tool call that was already complete", 502)
UNKNOWN_CALL: Final = Failure("api", "the upstream sent arguments for a tool call that it had not begun", 502)

_BLANK: Final = re.compile(rb"(?: |\\[nrt])*")


class Balance:
    """Whether the JSON object or array that arrives in escaped pieces is complete. Keeps its place between pieces.

    A JSON quote arrives as `\\"` or `\\u0022`, a backslash as `\\\\` or `\\u005c`, a bracket as itself or as `\\u00xx`.
    """

    __slots__ = ("_depth", "_escaped", "_quoted", "complete")

    def __init__(self) -> None:
        self.complete = False
        self._depth = 0
        self._quoted = False
        self._escaped = False  # a backslash inside a string ended the last piece: the next character means nothing

    def feed(self, span: bytes) -> None:
        place = 0
        if self._escaped and span:
            place, self._escaped = _after_unit(span, 0), False
        while not self.complete and (match := _SIGN.search(span, place)):
            place = match.end()
            sign = match[0] if match[1] is None else b"%c" % int(match[1], 16)
            if sign in _QUOTE:
                self._quoted = not self._quoted
            elif sign in _BACKSLASH:
                if self._quoted and place < len(span):
                    place = _after_unit(span, place)
                else:
                    self._escaped = self._quoted
            elif not self._quoted:
                self._bracket(sign)

    def _bracket(self, sign: bytes) -> None:
        if sign in b"{[":
            self._depth += 1
        elif self._depth:
            self._depth -= 1
            self.complete = not self._depth


_SIGN: Final = re.compile(rb'[{}\[\]]|\\["\\]|\\u00(22|5[bcdBCD]|7[bdBD])')
_QUOTE: Final = (b'"', b'\\"')
_BACKSLASH: Final = (b"\\", b"\\\\")


def _after_unit(span: bytes, place: int) -> int:
    """Where the character ends that begins at `place`: an escape is two or six bytes, anything else counts as one."""
    if span[place] != 0x5C:
        return place + 1
    return place + (6 if span[place + 1 : place + 2] == b"u" else 2)


class Ordered:
    """A Sink that calls the `_write_*` methods of its subclass in an order that every client takes.

    `started`: something that a client would act on was written. `ended`: the terminator or the error was, nothing follows.
    """

    interleaves: ClassVar[bool] = False
    _options: StreamOptions

    def __init__(self) -> None:
        self.started = False
        self.ended = False
        self.failure: Failure | None = None
        self.stop_reason: StopReason | None = None
        self.counts = Usage()
        self.losses: list[str] = []
        self.remembered: list[Remembered] = []
        self._memory_text: list[bytes] = []  # of the block that is open, where it is to be remembered
        self._memory: list[tuple[bytes, bytes, bool]] = []  # since the last call
        self._out: list[bytes] = []
        self._open = NOTHING
        self._key = 0  # of the open call
        self._balance = Balance()  # of the open call
        self._calls: dict[int, int] = {}  # key -> how many were begun before it
        self._held: list[tuple[str, tuple[bytes | int, ...]]] = []
        self._held_size = 0
        self._draining = False
        self._flushing = False

    def take(self) -> bytes:
        """What was written since the last call."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    # -- the Sink ------------------------------------------------------------------------------------------------------

    def start(self, ident: bytes, model: bytes) -> None:
        """The client gets our id and the model name that it asked for; see the head of this file."""

    def text(self, span: bytes) -> None:
        if self._waits():
            self._hold("text", span)
        elif span:
            self._say(TEXT, span)
        elif self._open == TEXT:
            self._shut()

    def refusal(self, span: bytes) -> None:
        if self._waits():
            self._hold("refusal", span)
        elif span:
            self._say(REFUSAL, span)

    def thinking(self, span: bytes) -> None:
        if self._waits():
            self._hold("thinking", span)
        elif span:
            if self._options.remember:
                self._memory_text.append(span)
            self._say(THINKING, span)

    def seal(self, signature: bytes) -> None:
        if self._waits():
            self._hold("seal", signature)
            return
        if self._options.remember:
            if signature:
                self._memory.append((b"".join(self._memory_text), signature, False))
            self._memory_text.clear()
        if signature and self._turn_to(THINKING):
            self._write_seal(signature)
        if self._open == THINKING:
            self._shut()

    def redacted(self, data: bytes) -> None:
        if self._waits():
            self._hold("redacted", data)
        elif self._turn_to(NOTHING):
            if self._options.remember:
                self._memory.append((b"", data, True))
            self._write_redacted(data)

    def tool(self, key: int, ident: bytes, name: bytes) -> None:
        if self._waits():
            self._hold("tool", key, ident, name)
        elif len(self._calls) >= MAX_CALLS:
            self.fail(TOO_MANY_CALLS)
        elif self._turn_to(NOTHING):
            count = self._calls[key] = len(self._calls)
            ident = ident or call_id(self._options.ident, count)
            if self._memory:
                self.remembered += [Remembered(ident, *signed) for signed in self._memory]
                self._memory.clear()
            if not self.interleaves:
                self._open, self._key, self._balance = CALL, key, Balance()
            self._write_call(count, ident, self._options.names.get(name, name))

    def args(self, key: int, span: bytes) -> None:
        if not span or self.ended:
            return
        if self._open == CALL and key == self._key:
            self._write_args(self._calls[key], span)
            self._balance.feed(span)
            if self._balance.complete and self._held and not self._draining:
                self._drain()
        elif key not in self._calls:
            if self._waits():
                self._hold("args", key, span)
            else:
                self.fail(UNKNOWN_CALL)
        elif self.interleaves:
            self._write_args(self._calls[key], span)
        elif not _BLANK.fullmatch(span):
            self.fail(LATE_ARGUMENTS)

    def private(self, name: bytes, raw: bytes) -> None:
        if self._waits():
            self._hold("private", name, raw)
        elif not self.ended and not self._carry(name, raw):
            self._lose(name)

    def usage(self, counts: Usage) -> None:
        self.counts = counts

    def stop(self, reason: StopReason, sequence: bytes | None) -> None:
        if self.stop_reason is not None or self.ended:
            return
        self._flushing = True
        self._drain()
        if self._turn_to(NOTHING):
            self.stop_reason = reason
            self._write_stop(reason, sequence)

    def fail(self, failure: Failure) -> None:
        if not self.ended:
            self.failure, self.ended, self._open = failure, True, NOTHING
            self._write_failure(failure)

    def end(self) -> None:
        self.stop("tool_use" if self._calls else "end_turn", None)  # does nothing if the upstream said why
        if not self.ended:
            self._shut()  # a damaged upstream may go on after its stop
            self.ended = True
            if self.losses and self._options.announce:
                self._write_losses()
            self._write_end()

    # -- order ---------------------------------------------------------------------------------------------------------

    def _say(self, kind: int, span: bytes) -> None:
        if self._open == kind or self._turn_to(kind):
            self._write_piece(kind, span)

    def _turn_to(self, kind: int) -> bool:
        """Makes `kind` the open block. False if nothing may be written any more."""
        if self.ended:
            return False
        if not self.started:
            self.started = True
            self._write_start()
        if self._open != kind:
            self._shut()
            if kind != NOTHING:
                self._open = kind
                self._write_open(kind)
        return True

    def _shut(self) -> None:
        if self._open != NOTHING:
            kind, self._open = self._open, NOTHING
            self._write_close(kind)

    def _waits(self) -> bool:
        return bool(self._held) or self._blocked()

    def _blocked(self) -> bool:
        return self._open == CALL and (self._flushing or not self._balance.complete)

    def _hold(self, event: str, *arguments: bytes | int) -> None:
        if self.ended:
            return
        self._held_size += RECORD + sum(len(part) for part in arguments if isinstance(part, bytes))
        if self._held_size > HELD_MAX:
            self.fail(HELD_TOO_MUCH)
        else:
            self._held.append((event, arguments))

    def _drain(self) -> None:
        self._draining = True
        while self._held and not self.ended:
            if self._flushing:
                self._shut()
            elif self._blocked():
                break
            held, self._held, self._held_size = self._held, [], 0
            for event, arguments in held:
                getattr(self, event)(*arguments)
        self._draining = False

    def _lose(self, name: bytes) -> None:
        known = name.decode("utf-8", "replace")
        if known not in self.losses and len(self.losses) < MAX_LOSSES:
            self.losses.append(known)

    # -- what a dialect writes -----------------------------------------------------------------------------------------

    def _write_start(self) -> None:
        raise NotImplementedError

    def _write_open(self, kind: int) -> None:
        """A block of text, refusal or thinking begins; its first piece (or seal) follows at once."""
        raise NotImplementedError

    def _write_piece(self, kind: int, span: bytes) -> None:
        raise NotImplementedError

    def _write_seal(self, signature: bytes) -> None:
        raise NotImplementedError

    def _write_close(self, kind: int) -> None:
        raise NotImplementedError

    def _write_redacted(self, data: bytes) -> None:
        raise NotImplementedError

    def _write_call(self, count: int, ident: bytes, name: bytes) -> None:
        """Call number `count` of this reply begins. Serial dialects get `_write_close(CALL)` when it ends."""
        raise NotImplementedError

    def _write_args(self, count: int, span: bytes) -> None:
        raise NotImplementedError

    def _carry(self, name: bytes, raw: bytes) -> bool:
        """Writes something private, if the dialect has a form for it."""
        raise NotImplementedError

    def _write_stop(self, reason: StopReason, sequence: bytes | None) -> None:
        raise NotImplementedError

    def _write_end(self) -> None:
        raise NotImplementedError

    def _write_failure(self, failure: Failure) -> None:
        raise NotImplementedError

    def _write_losses(self) -> None:
        """What could not be carried, before the terminator: a comment, where the dialect's clients take one."""
        self._out.append(loss_comment(self.losses))


def call_id(reply: bytes, count: int) -> bytes:
    """The id of call number `count` of a reply, where the upstream gave it none. `reply` is StreamOptions.ident."""
    return b"call_%b_%d" % (reply[:16], count)


def loss_comment(losses: list[str]) -> bytes:
    """An SSE comment with the names of what a stream has lost."""
    return b": x-anyllm-degradation: %b\n\n" % ", ".join(losses).translate(_ONE_LINE).encode("ascii", "replace")


_ONE_LINE: Final = dict.fromkeys(range(32), " ")
