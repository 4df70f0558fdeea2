"""How a dialect's bodies are carried where that is not how the dialect itself has them: a table. Translates nothing.

Claude is served by Bedrock and by Vertex in Messages bodies, but without `model`; Bedrock's streams come in AWS's framing; a
stream of Gemini's may be one JSON array; the legacy completions endpoint is Chat in other clothes. A carrier is one such form, on
the client's side (`unpack`, `repack`, `frame`) or the host's (`pack`, `unframe`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from anyllm_fast import wire
from anyllm_fast.dialects import completions
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.members import encode, open_body
from anyllm_fast.neutral.stream import Pipe
from anyllm_fast.wire.aws import AwsWatch
from anyllm_fast.wire.carried import Framing, Unframing

AWS_STREAM: Final = b"application/vnd.amazon.eventstream"
Headers = dict[bytes, bytes]


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """One row. What is None needs no change."""

    unpack: Callable[[Unpacking], bytes] | None = None  # the client's body -> the dialect's
    repack: Callable[[bytes], bytes] | None = None  # the dialect's whole reply -> the client's
    frame: Callable[[], Framing] | None = None  # the dialect's stream -> the client's
    content_type: bytes | None = None  # of the client's stream
    pack: Callable[[bytes, Headers], bytes] | None = None  # the dialect's body, the client's headers -> the host's body
    unframe: Callable[[int], Unframing] | None = None  # the host's stream -> the dialect's
    accept: bytes | None = None  # what the host is asked for when the call is streamed
    errors: str = ""  # dialect in whose form the host writes errors, where it is not that of the bodies
    watch: Callable[[int], Pipe] | None = None  # where client and host carry the dialect alike: the bypass


class Unpacking(msgspec.Struct):
    """What a client sent, and what its path said. `headers` are the call's own: what belongs there goes there."""

    body: bytes
    model: str
    stream: bool
    headers: Headers
    losses: Losses


def _pack_claude(version: bytes, *, streamed_by_path: bool) -> Callable[[bytes, Headers], bytes]:
    """A Messages body for a host that has the model in the path, and Anthropic's version and betas in the body."""

    def pack(body: bytes, headers: Headers) -> bytes:
        members = open_body(body)
        members.pop("model", None)
        if streamed_by_path:
            members.pop("stream", None)
            betas = [beta.strip() for beta in headers.get(b"anthropic-beta", b"").decode("latin-1").split(",")]
            if any(betas) and "anthropic_beta" not in members:
                members["anthropic_beta"] = Raw(encode([beta for beta in betas if beta]))
        members.setdefault("anthropic_version", Raw(b'"%b"' % version))
        return encode(members)

    return pack


def _unpack_claude(sent: Unpacking) -> bytes:
    """The Messages body in an InvokeModel call; its version and betas become the headers that they are elsewhere."""
    members = open_body(sent.body)
    if "anthropic_version" not in members:
        raise InvalidRequest("required: only Anthropic bodies can be invoked here", where="anthropic_version")
    del members["anthropic_version"]
    betas = members.pop("anthropic_beta", None)
    if betas is not None:
        try:
            sent.headers[b"anthropic-beta"] = ",".join(_decode_strings(betas)).encode("latin-1", "replace")
        except msgspec.ValidationError:
            raise InvalidRequest("expected an array of strings", where="anthropic_beta") from None
    members = {"model": Raw(encode(sent.model)), **members}
    if sent.stream:
        members["stream"] = Raw(b"true")
    return encode(members)


_decode_strings = msgspec.json.Decoder(list[str]).decode


def _unpack_completion(sent: Unpacking) -> bytes:
    return completions.read_request(sent.body, sent.losses)


CARRIERS: Final[dict[str, Carrier]] = {
    "": Carrier(),
    "invoke": Carrier(
        unpack=_unpack_claude,
        frame=lambda: wire.SseToAws(True),
        content_type=AWS_STREAM,
        pack=_pack_claude(b"bedrock-2023-05-31", streamed_by_path=True),
        unframe=lambda max_frame: wire.AwsToSse(max_frame, True),
        accept=AWS_STREAM,
        errors="bedrock",
        watch=lambda max_frame: AwsWatch("anthropic", max_frame),
    ),
    "converse": Carrier(
        frame=lambda: wire.SseToAws(False),
        content_type=AWS_STREAM,
        unframe=lambda max_frame: wire.AwsToSse(max_frame, False),
        accept=AWS_STREAM,
        watch=lambda max_frame: AwsWatch("bedrock", max_frame),
    ),
    "vertex_anthropic": Carrier(pack=_pack_claude(b"vertex-2023-10-16", streamed_by_path=False)),
    "json_array": Carrier(frame=lambda: wire.SseToJsonArray(), content_type=b"application/json"),
    "completions": Carrier(unpack=_unpack_completion, repack=completions.write_reply, frame=completions.ChatToCompletion),
}
