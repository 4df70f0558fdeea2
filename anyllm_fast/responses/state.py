"""previous_response_id before a call, and keeping the reply after it, where the upstream does not do it. Opens no socket.

A Responses call to an upstream of another dialect is a conversation that we hold: the earlier input and output go before the new
input, byte for byte as they were, so a longer conversation still begins like the shorter one.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast.call import Call
from anyllm_fast.errors import Internal, InvalidRequest
from anyllm_fast.neutral.members import decode_object, encode, is_string, open_body, text_of
from anyllm_fast.neutral.request import Members
from anyllm_fast.responses.store import Kept, Shelf, StoreFailed

SUMMARY: Final = "anyllm:summary:"
"""How the content of a compaction item begins that we made: the summary follows, in base64."""
_NULL: Final = (b"null",)
_LONGEST_REFERENCE: Final = 512  # bytes
_TERMINAL: Final = (b"event: response.completed\n", b"event: response.incomplete\n", b"event: response.failed\n")
_ELSEWHERE: Final = {
    "conversation": "conversations are kept by OpenAI; use previous_response_id with this backend",
    "prompt": "prompt templates are kept by OpenAI; send their text to this backend",
}
_decode_array = msgspec.json.Decoder(list[Raw]).decode


class _Reply(msgspec.Struct):
    id: str
    output: Raw = Raw(b"[]")


class _Item(msgspec.Struct):
    type: str = ""
    id: Any = None
    encrypted_content: Any = None


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_item = msgspec.json.Decoder(_Item).decode


class Turn(msgspec.Struct):
    """One Responses call of ours: what has to be known when its reply is there."""

    owner: bytes
    items: bytes
    keep: bool
    previous: bytes = b"null"  # JSON
    echo: tuple[tuple[bytes, bytes], ...] = ()  # what a Response says of its request: our encoder's words -> those of this call


class State:
    """Of one worker."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def resume(self, call: Call) -> Turn:
        """Makes of the call's body one that says everything itself. Raises InvalidRequest."""
        members = open_body(call.body)
        for name, why in _ELSEWHERE.items():
            if bytes(members.get(name, b"null")) not in _NULL:
                raise InvalidRequest(why, where=name)
        items = _items(members.get("input"))
        previous = members.pop("previous_response_id", None)
        if previous is not None and bytes(previous) not in _NULL:
            items = await self._earlier(call.owner, previous) + items
        else:
            previous = None
        items, found = await self._found(call.owner, items)
        opened = [_opened(item) for item in items]
        if previous is not None or found or opened != items:
            members["input"] = Raw(encode(opened))
        keep = bytes(members.get("store", b"true")) != b"false"
        members.pop("background", None)
        call.body = encode(members)
        given = members if previous is None else {**members, "previous_response_id": previous}
        return Turn(call.owner, encode(items), keep, b"null" if previous is None else bytes(previous), _echo(given))

    async def _earlier(self, owner: bytes, previous: Raw) -> list[Raw]:
        """The items of the reply that is named, and of all before it."""
        if not is_string(previous):
            raise InvalidRequest("expected a string", where="previous_response_id")
        ident = text_of(previous)
        kept = await self.get(owner, ident)
        if kept is None or kept.running:
            raise InvalidRequest(
                f"Previous response with id '{ident[:100]}' not found.",
                where="previous_response_id",
                code="previous_response_not_found",
            )
        return _decode_array(kept.items) + _decode_array(_decode_reply(kept.reply).output)

    async def _found(self, owner: bytes, items: list[Raw]) -> tuple[list[Raw], bool]:
        """The items with those in the place of references that are meant, and whether there were any.

        The id of an item that we made has that of its reply in it: this finds the reply without an index.
        """
        named = {place: name for place, item in enumerate(items) if (name := _named_item(item))}
        replies = {_reply_of(name) for name in named.values()}
        made = {ident: _outputs(kept) for ident in replies if (kept := await self.get(owner, ident)) and not kept.running}
        out = list(items)
        for place, name in named.items():
            item = made.get(_reply_of(name), {}).get(name)
            if item is None:
                why = "items of replies with `store` false are not kept: send the item itself"
                raise InvalidRequest(f"Item with id '{name[:100]}' not found; {why}", where=f"input.{place}")
            out[place] = item
        return out, bool(named)

    async def get(self, owner: bytes, ident: str) -> Kept | None:
        """Raises Internal where the store is lost."""
        try:
            return await self._shelf.get(owner, ident)
        except StoreFailed as error:
            raise Internal(str(error)) from error

    async def delete(self, kept: Kept) -> None:
        """Raises Internal where the store is lost."""
        try:
            await self._shelf.delete(kept)
        except StoreFailed as error:
            raise Internal(str(error)) from error

    def finish(self, turn: Turn, payload: bytes) -> bytes:
        """A whole reply as it leaves; kept beside, unless the client said not to."""
        payload = _echoed(payload, turn)
        self._keep(turn, payload)
        return payload

    def _keep(self, turn: Turn, payload: bytes) -> None:
        if turn.keep:
            self._shelf.keep(Kept(_decode_reply(payload).id, turn.owner, payload, turn.items, time.time()))


class Keeper:
    """A Framing that lets a Responses stream pass and keeps the response in its last event."""

    def __init__(self, state: State, turn: Turn) -> None:
        self._state = state
        self._turn = turn

    def feed(self, chunk: bytes) -> bytes:
        chunk = _echoed(chunk, self._turn)
        for start in _TERMINAL:
            place = chunk.rfind(start)
            if place >= 0:
                line = chunk[place:].partition(b"data: ")[2].partition(b"\n")[0]
                self._state._keep(self._turn, bytes(_decode_event(line).response))
        return chunk

    def finish(self) -> bytes:
        return b""


class _Event(msgspec.Struct):
    response: Raw


_decode_event = msgspec.json.Decoder(_Event).decode
_RESPONSE: Final = b'"object":"response",'
_RUNS: Final = (
    (("max_output_tokens", b"null"),),
    (
        ("parallel_tool_calls", b"true"),
        ("previous_response_id", b"null"),
        ("reasoning", b'{"effort":null,"summary":null}'),
        ("store", b"false"),
        ("temperature", b"null"),
        ("text", b'{"format":{"type":"text"}}'),
        ("tool_choice", b'"auto"'),
    ),
    (("top_p", b"null"), ("truncation", b'"disabled"')),
    (("user", b"null"), ("metadata", b"{}")),
)
"""Members of a Response that repeat the request's, in the runs in which our encoder writes them with nothing known. LangChain
reads `text.format` there to know that it asked for a structured answer. Tools and instructions, often long, are not said."""


def _echo(members: Members) -> tuple[tuple[bytes, bytes], ...]:
    found: list[tuple[bytes, bytes]] = []
    for run in _RUNS:
        given = [(name, default, _on_one_line(bytes(members.get(name, default)))) for name, default in run]
        told = [(name, default if value in _NULL else value) for name, default, value in given]
        if told != list(run):
            found.append((_written(run), _written(told)))
    return tuple(found)


def _on_one_line(value: bytes) -> bytes:
    """As an event can have it."""
    return msgspec.json.format(value, indent=-1) if b"\n" in value or b"\r" in value else value


def _written(run: Iterable[tuple[str, bytes]]) -> bytes:
    return b",".join(b'"%b":%b' % (name.encode(), value) for name, value in run)


def _echoed(payload: bytes, turn: Turn) -> bytes:
    """With what the call asked for. Inside a text the quotes would be escaped, so this finds nothing there."""
    if turn.echo and _RESPONSE in payload:
        for blank, told in turn.echo:
            payload = payload.replace(blank, told)
    return payload


def _items(raw: Raw | None) -> list[Raw]:
    """`input` as a list; what is wrong with it is the reader's to say."""
    if raw is None or bytes(raw)[:1] not in (b"[", b'"'):
        return []
    if is_string(raw):
        return [Raw(b'{"type":"message","role":"user","content":%b}' % bytes(raw))]
    return _decode_array(raw)


def _named_item(item: Raw) -> str:
    """The id in a reference to an item, whose type may be left out; "" for an item that is there itself."""
    if len(bytes(item)) > _LONGEST_REFERENCE:
        return ""
    try:
        members = decode_object(bytes(item))
    except msgspec.DecodeError:
        return ""
    kind, ident = bytes(members.get("type", b"null")), members.get("id")
    bare = kind in _NULL and members.keys() - {"type"} == {"id"}
    if ident is None or not is_string(ident) or not (bare or kind == b'"item_reference"'):
        return ""
    return text_of(ident)


def _reply_of(item: str) -> str:
    return "resp_" + item.partition("_")[2].rpartition("_")[0]


def _outputs(kept: Kept) -> dict[Any, Raw]:
    """Its output, by the ids of the items."""
    return {_decode_item(item).id: item for item in _decode_array(_decode_reply(kept.reply).output)}


def _opened(item: Raw) -> Raw:
    """A compaction item of our own as the message that it stands for."""
    if b"compaction" not in bytes(item):
        return item
    try:
        read = _decode_item(item)
        if read.type != "compaction" or not str(read.encrypted_content).startswith(SUMMARY):
            return item
        text = base64.b64decode(str(read.encrypted_content)[len(SUMMARY) :], validate=True).decode()
    except ValueError:
        return item
    said = "Summary of the conversation until here:\n\n" + text
    return Raw(encode({"type": "message", "role": "user", "content": [{"type": "input_text", "text": said}]}))
