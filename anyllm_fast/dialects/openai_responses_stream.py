"""Streams of OpenAI Responses: events to Sink events and Sink events to events. Knows no framing and no other dialect."""

from __future__ import annotations

from anyllm_fast.dialects.order import Ordered
from anyllm_fast.neutral.stream import Sink, StreamOptions
from anyllm_fast.wire.pipe import Watched


class ResponsesDecoder:
    """One upstream reply. `frame` takes one event's data; `finish` says that the body ended cleanly."""

    def __init__(self) -> None:
        self.sees_all = True

    def skip(self) -> None:
        raise NotImplementedError

    def frame(self, event: bytes, data: bytes, sink: Sink) -> None:
        raise NotImplementedError

    def finish(self, sink: Sink) -> None:
        raise NotImplementedError


class ResponsesEncoder(Ordered):
    """Events for one client."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__()
        self._options = options


WATCHED: Watched  # what the bypass asks of this dialect
