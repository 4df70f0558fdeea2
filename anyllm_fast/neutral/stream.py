"""What happens in a streamed reply, as method calls. Knows no dialect and no framing.

A decoder scans one upstream frame and calls a `Sink`; an encoder is a Sink that appends the client's bytes. The calls below are
the whole vocabulary. Text travels still escaped: a `span` is the inside of a JSON string, copied verbatim from the upstream's
frame into the client's, so nothing is unescaped, re-encoded or normalised on the way.

Order that a decoder guarantees: `start` first and once; `args` only after `tool` with the same key; `stop` at most once; then
`end` or `fail`, once, last. `usage` may come at any time and repeatedly, each call with the whole counts known by then. What a
decoder does not guarantee, an encoder has to bring about: that blocks open and close in order (calls may interleave).
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from anyllm_fast.errors import Kind
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.usage import Usage

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "refusal",
    "content_filter",
    "pause_turn",
    "context_window",
    "other",
]


class Failure(msgspec.Struct, frozen=True):
    """An error inside a stream, or in place of one. Strings are decoded, not escaped. `status` as the vendor would have sent."""

    kind: Kind
    message: str
    status: int = 0
    code: str | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """What an encoder must know beside the events. Byte fields are escaped (insides of JSON strings)."""

    model: bytes  # the name that the client asked for
    ident: bytes  # 32 hex digits; an encoder puts its dialect's prefix before it
    created: int  # epoch seconds
    include_usage: bool = True  # Chat: a usage chunk is sent only to a client that asked for one
    names: dict[bytes, bytes] = {}  # tool's name at the upstream -> the client's own, where the two had to differ (spans)
    forms: dict[bytes, ToolForm] = {}  # tool's name, after `names` -> how the client itself calls it, where that is no function
    origin: str = ""  # name of the upstream's dialect: whose the signatures are (signatures.py)
    announce: bool = True  # losses are said in the stream, before its terminator
    remember: bool = False  # keep what was signed before each call, for clients that do not give it back (Remembered)


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """One signed piece of reasoning that stood before a tool call. Spans. `redacted`: `signature` is the encrypted data."""

    call: bytes  # the call's id
    text: bytes
    signature: bytes
    redacted: bool = False


class Sink(Protocol):
    """Eleven things can happen in a reply, and `redacted` and `refusal` beside text and thinking."""

    def start(self, ident: bytes, model: bytes) -> None:
        """The upstream's own id and model name (spans)."""

    def text(self, span: bytes) -> None:
        """Empty between two texts: another text block begins (citations are about one block)."""

    def refusal(self, span: bytes) -> None:
        """Text that says why the model will not answer (Chat's `refusal`)."""

    def thinking(self, span: bytes) -> None: ...

    def seal(self, signature: bytes) -> None:
        """Ends the thinking block that is open and signs it (span). Opaque: comes back unchanged in the next request. Empty: it
        ends without a signature. Not empty and no block open: a signed block without text."""

    def redacted(self, data: bytes) -> None:
        """A whole block of encrypted thinking (span)."""

    def tool(self, key: int, ident: bytes, name: bytes) -> None:
        """A tool call begins. `key` is the decoder's handle for it, unique in this reply."""

    def args(self, key: int, span: bytes) -> None:
        """A piece of the JSON text of the call's arguments, escaped once (as in `arguments` and `partial_json`). Of a free-form
        tool too: `{"input": "the text"}` (custom_tools.py)."""

    def private(self, name: bytes, raw: bytes) -> None:
        """Something only the upstream's dialect knows: raw JSON, named by its field or event. These names encoders know how to
        carry, where their dialect has a form for it: `citation` (an Anthropic citation object, about the open text), `annotation`
        (a Chat annotation object), `logprobs` (an array of Chat's token objects, about the open text), `media`
        ({"media_type", "data"}: a generated image or sound, base64). A name with a `.` in it is said as a loss as it is."""

    def usage(self, counts: Usage) -> None: ...

    def stop(self, reason: StopReason, sequence: bytes | None) -> None:
        """Why the model stopped; `sequence` is the stop sequence that matched (span)."""

    def fail(self, failure: Failure) -> None:
        """The upstream said in the stream that it failed, or what it sent was cut or malformed."""

    def end(self) -> None:
        """The upstream finished cleanly."""


class Pipe(Protocol):
    """Upstream bytes in, client bytes out. One per reply; the gateway's relay knows nothing else of a stream."""

    @property
    def committed(self) -> bool:
        """True once something was fed that the client would act on (text, thinking, a tool call, a stop). Until then a failure
        can still become an answer with a true status."""
        ...

    @property
    def failure(self) -> Failure | None:
        """Set when the upstream failed in-band, or its bytes were cut or malformed."""
        ...

    @property
    def ended(self) -> bool:
        """True once the client's terminator (or in-band error) has been returned: nothing may follow."""
        ...

    @property
    def usage(self) -> Usage: ...

    @property
    def stop_reason(self) -> StopReason | None: ...

    @property
    def remembered(self) -> list[Remembered]:
        """With StreamOptions.remember: what was signed before each call."""
        ...

    @property
    def losses(self) -> list[str]:
        """Names of things this stream could not carry (`private` names), each once, in order of appearance."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Everything that `chunk` lets leave, whole frames only; b"" means: more, please. Never raises for upstream bytes."""

    def finish(self) -> bytes:
        """The upstream's body ended cleanly: what is left, or the in-band error if the reply was not complete."""

    def fail(self, failure: Failure) -> bytes:
        """The transport failed: the client's in-band error. b"" if the stream had already ended."""
