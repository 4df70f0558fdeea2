"""Puts every tool result behind the call that it answers. Knows no dialect.

The vendors demand that an answer with tool calls is followed at once by the results of all of them; clients are looser. Seen:
parallel results in the order in which they finished (Claude Code), and the text of an answer after its calls, between them and
the results (Codex). What no order can mend, a call without a result or a result without a call, every vendor refuses; so it is
refused here, with the path.
"""

from __future__ import annotations

import msgspec

from anyllm_fast.neutral.members import refuse
from anyllm_fast.neutral.request import Part, Text, ToolCall, ToolResult, Turn


class Step(msgspec.Struct):
    """A turn as it has to be sent: `parts` hold no tool results; `results` answer the calls in `parts`, in their order.

    `turns` are those that were put together here, the one that gives role and name first.
    """

    turns: list[Turn]
    parts: list[Part]
    results: list[ToolResult] = []


class _Waiting(msgspec.Struct):
    """Calls of one step that have no result yet."""

    step: Step
    calls: dict[bytes, ToolCall] = {}
    results: dict[bytes, ToolResult] = {}

    def add(self, part: ToolCall) -> None:
        key = bytes(part.ident)
        if key in self.calls:
            raise refuse((part.where, "id"), f"a second call with the id {key.decode()} in the same turn")
        self.calls[key] = part

    def answer(self, result: ToolResult) -> None:
        key = bytes(result.ident)
        if key not in self.calls:
            raise refuse(result.where, f"no tool call before it has the id {key.decode()}, or that call has its result already")
        known = self.results.get(key)
        if known is not None and not _same(known, result):
            raise refuse(result.where, f"a second result for the tool call {key.decode()}")
        self.results.setdefault(key, result)

    @property
    def done(self) -> bool:
        return len(self.results) == len(self.calls)

    def close(self) -> None:
        for key, call in self.calls.items():
            if key not in self.results:
                raise refuse(call.where, f"no result for the tool call {key.decode()} in the messages after it")
        self.step.results = [self.results[key] for key in self.calls]


def pair(turns: list[Turn]) -> list[Step]:
    """The conversation in sendable order. Raises InvalidRequest where no order makes it one."""
    steps: list[Step] = []
    waiting: _Waiting | None = None
    for turn in turns:
        if turn.role == "assistant":
            waiting = _answer(steps, turn, waiting)
        elif turn.role == "user" and any(type(part) is ToolResult for part in turn.parts):
            _results(steps, turn, waiting)
        else:
            steps.append(Step([turn], turn.parts))
    if waiting is not None:
        waiting.close()
    return steps


def _answer(steps: list[Step], turn: Turn, waiting: _Waiting | None) -> _Waiting | None:
    """The model's own turn. One that comes while calls still wait for results is the rest of the answer that made them."""
    calls = [part for part in turn.parts if type(part) is ToolCall]
    if waiting is not None and not waiting.done:
        step = waiting.step
        place = next(index for index, part in enumerate(step.parts) if type(part) is ToolCall)
        step.turns.append(turn)
        step.parts = [
            *step.parts[:place],
            *(part for part in turn.parts if type(part) is not ToolCall),
            *step.parts[place:],
            *calls,
        ]
    else:
        if waiting is not None:
            waiting.close()
        step = Step([turn], turn.parts)
        steps.append(step)
        if not calls:
            return None
        waiting = _Waiting(step)
    for call in calls:
        waiting.add(call)
    return waiting


def _results(steps: list[Step], turn: Turn, waiting: _Waiting | None) -> None:
    rest: list[Part] = []
    for part in turn.parts:
        if type(part) is not ToolResult:
            rest.append(part)
        elif waiting is None:
            raise refuse(part.where, f"no tool call before it has the id {bytes(part.ident).decode()}")
        else:
            waiting.answer(part)
    if rest:
        steps.append(Step([turn], rest))
    elif waiting is not None:
        waiting.step.turns.append(turn)


def _same(one: ToolResult, other: ToolResult) -> bool:
    """Whether two results are the same text. A client that resumes a conversation may send one twice."""
    return one.failed == other.failed and _texts(one) is not None and _texts(one) == _texts(other)


def _texts(result: ToolResult) -> list[bytes] | None:
    texts = [bytes(part.text) for part in result.parts if type(part) is Text]
    return texts if len(texts) == len(result.parts) else None
