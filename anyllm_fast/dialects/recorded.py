"""A stream that came where a document was asked for, read as the whole reply that it stands for. Knows no dialect.

Rare, so it is done in Python whichever twin runs.
"""

from __future__ import annotations

from anyllm_fast.neutral.reply import Recorder, Reply
from anyllm_fast.wire.pipe import Decoder, broken
from anyllm_fast.wire.sse import BOM, Frames

_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")


def is_stream(body: bytes) -> bool:
    """Whether a body begins like a stream of events, whatever its label says. JSON and HTML never do."""
    return body.removeprefix(BOM).lstrip().startswith(_FIELDS)


def record(decoder: Decoder, body: bytes, max_frame: int) -> Reply:
    """The reply; its `failure` is set where the stream failed, was cut or had a frame above `max_frame` bytes."""
    frames, recorder = Frames(max_frame), Recorder()
    for event, data in (*frames.feed(body), *frames.finish()):
        decoder.frame(event, data, recorder)
    if frames.failure is None:
        decoder.finish(recorder)
    elif not recorder.reply.ended:
        recorder.fail(broken(frames.failure))
    return recorder.reply
