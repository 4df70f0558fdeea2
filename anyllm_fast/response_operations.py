"""What is asked of a response by its id, and compaction. Ours where we hold the state; forwarded where the upstream does."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from anyllm_fast import headers, ids
from anyllm_fast.bridge import refusal
from anyllm_fast.call import Call, Outgoing, Surface
from anyllm_fast.dialects import DIALECTS
from anyllm_fast.errors import InvalidRequest, NotFound, UpstreamRefused
from anyllm_fast.neutral.members import decode_object, encode, open_body
from anyllm_fast.relay import answer
from anyllm_fast.responses.background import Collected
from anyllm_fast.responses.state import SUMMARY, Turn
from anyllm_fast.responses.store import Kept
from anyllm_fast.upstream import Timeouts

if TYPE_CHECKING:
    from anyllm_fast.gateway import Gateway

NAME: Final = "openai_responses"
_LIMIT: Final = 64 << 20
_TIMEOUTS: Final = Timeouts(10.0, 60.0, 60.0, 120.0)
_MOST_ITEMS: Final = 100
_OF_THE_CALL: Final = frozenset({"model", "instructions", "service_tier", "prompt_cache_key"})
_SUMMARIZE: Final = (
    "The conversation above is about to be replaced by a summary. Write it now, for a reader who has nothing else: what the user"
    " wants, what was decided and found out, names, paths, numbers and code that are still needed, what was tried and failed, and"
    " what is to be done next. Answer with the summary alone."
)
_decode_array = msgspec.json.Decoder(list[Raw]).decode


async def response(gateway: Gateway, call: Call) -> None:
    """GET /v1/responses/{id}."""
    kept = await _kept(gateway, call)
    if kept is None:
        await _forward(gateway, call, "")
    else:
        await answer(call, 200, kept.reply)


async def response_delete(gateway: Gateway, call: Call) -> None:
    kept = await _kept(gateway, call)
    if kept is None:
        await _forward(gateway, call, "")
        return
    await gateway.state.delete(kept)
    await answer(call, 200, encode({"id": kept.id, "object": "response", "deleted": True}))


async def response_cancel(gateway: Gateway, call: Call) -> None:
    """Only a background response can be cancelled; one that has ended is given back as it is."""
    kept = await _kept(gateway, call)
    if kept is None:
        await _forward(gateway, call, "/cancel")
    elif bytes(decode_object(kept.reply).get("background", b"")) != b"true":
        raise InvalidRequest("Cannot cancel a synchronous response.", where="response_id")
    else:
        await answer(call, 200, await gateway.background.cancel(kept))


async def response_items(gateway: Gateway, call: Call) -> None:
    """GET .../input_items: newest first unless `order=asc`; `limit`, `after`, as in OpenAI's reference."""
    kept = await _kept(gateway, call)
    if kept is None:
        await _forward(gateway, call, "/input_items")
    else:
        await answer(call, 200, _page(kept, _query(call)))


def _page(kept: Kept, query: dict[str, str]) -> bytes:
    items = [_identified(kept.id, place, raw) for place, raw in enumerate(_decode_array(kept.items))]
    if query.get("order", "desc") == "desc":
        items.reverse()
    elif query["order"] != "asc":
        raise InvalidRequest("expected asc or desc", where="order")
    limit = query.get("limit", "20")
    if not limit.isdigit() or not 1 <= int(limit) <= _MOST_ITEMS:
        raise InvalidRequest(f"expected 1 to {_MOST_ITEMS}", where="limit")
    known = [ident for ident, _ in items]
    if (after := query.get("after")) is not None:
        if after not in known:
            raise InvalidRequest(f"no item has the id {after[:100]!r}", where="after")
        items = items[known.index(after) + 1 :]
    page = items[: int(limit)]
    first, last = (page[0][0], page[-1][0]) if page else (None, None)
    data = [raw for _, raw in page]
    return encode({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": len(items) > len(page)})


def _identified(response_id: str, place: int, raw: Raw) -> tuple[str, Raw]:
    """An item with an id and a type, which clients may leave out when they send one."""
    members = decode_object(raw)
    ident = members.get("id")
    if ident is not None and bytes(ident)[:1] == b'"':
        return msgspec.json.decode(ident, type=str), raw
    made = f"item_{response_id.removeprefix('resp_')}_{place}"
    out: dict[str, Any] = {"id": made, **members}
    out.setdefault("type", "message")
    if bytes(members.get("content", b""))[:1] == b'"':
        kind = "output_text" if bytes(members.get("role", b"")) == b'"assistant"' else "input_text"
        out["content"] = [{"type": kind, "text": members["content"]}]
    return made, Raw(encode(out))


async def response_compact(gateway: Gateway, call: Call) -> None:
    """A shorter conversation in place of a long one: the user's messages and one compaction item.

    An upstream that speaks Responses does it itself. Elsewhere the model is asked for a summary, which the item carries in a form
    that only we read back (state.py).
    """
    gateway.look(call)
    target = gateway.aim(call)
    surface = call.surface
    if surface is not None and surface.dialect == NAME:
        await _send(gateway, call, surface, "/compact", call.body)
        return
    turn = await gateway.state.resume(call)
    members = open_body(call.body)
    items = _decode_array(members.get("input", Raw(b"[]"))) if bytes(members.get("input", b"["))[:1] == b"[" else []
    asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": _SUMMARIZE}]}
    members = {
        name: raw for name, raw in members.items() if name in {"model", "instructions", "service_tier", "prompt_cache_key"}
    }
    call.body = encode({**members, "input": [*(items or _decode_array(turn.items)), asked], "store": False})
    collected = Collected()
    send, call.send = call.send, collected
    try:
        await gateway.complete(call, target, Turn(call.owner, b"[]", keep=False))
    finally:
        call.send = send
    call.outcome.status = 0
    await answer(call, 200, _compacted(collected.body, turn))


def _compacted(reply: bytes, turn: Turn) -> bytes:
    found = decode_object(reply)
    texts = [
        part["text"]
        for item in msgspec.json.decode(found.get("output", Raw(b"[]")))
        if item.get("type") == "message"
        for part in item.get("content", ())
        if part.get("type") == "output_text"
    ]
    ident = ids.new_secret()
    summary = SUMMARY + base64.b64encode("".join(texts).encode()).decode()
    kept = [raw for place, item in enumerate(_decode_array(turn.items)) if (raw := _user_message(ident, place, item)) is not None]
    item = {"id": f"cmp_{ident}", "type": "compaction", "encrypted_content": summary}
    out = {"id": f"resp_{ident}", "object": "response.compaction", "created_at": int(time.time()), "output": [*kept, item]}
    return encode({**out, "usage": found.get("usage")})


def _user_message(ident: str, place: int, item: Raw) -> Raw | None:
    members = decode_object(item)
    if bytes(members.get("role", b"")) != b'"user"' or "content" not in members:
        return None
    raw = _identified(ident, place, item)[1]
    return Raw(encode({"status": "completed", **decode_object(raw)}))


# -- state of the upstream's -------------------------------------------------------------------------------------------


async def _kept(gateway: Gateway, call: Call) -> Kept | None:
    return await gateway.state.get(call.owner, call.route.argument)


async def _forward(gateway: Gateway, call: Call, behind: str) -> None:
    """Asks the upstream, where it speaks Responses. Raises NotFound where nobody can have the response."""
    target = call.target = gateway.router.target(call)
    surface = target.surface("", NAME)
    if surface.dialect != NAME:
        raise NotFound(f"Response with id '{call.route.argument[:100]}' not found.", where="response_id")
    await _send(gateway, call, surface, f"/{_segment(call.route.argument)}{behind}", call.body)


def _segment(ident: str) -> str:
    if not ident.isascii() or not ident.replace("_", "").replace("-", "").isalnum():
        raise NotFound(f"Response with id {ident[:100]!r} not found.", where="response_id")
    return ident


async def _send(gateway: Gateway, call: Call, surface: Surface, behind: str, body: bytes) -> None:
    target = call.target
    assert target is not None  # noqa: S101 - for the type checker
    path, _, query = surface.path(call.target_model, False).partition(b"?")
    asked = b"&".join(part for part in (query, call.query) if part)
    outgoing = Outgoing(path + behind.encode() + (b"?" + asked if asked else b""), body, NAME, method=call.method.encode())
    reply = await gateway.forward(call, target, outgoing, _TIMEOUTS)
    dialect = DIALECTS[NAME]
    try:
        raw = await reply.read(_LIMIT)
        if reply.status >= 400:
            error: UpstreamRefused = refusal(reply, raw, dialect, dialect)
            raise error
        call.response_headers += headers.to_client(reply.headers, NAME, NAME)
        kind = next((value for name, value in reply.headers if name == b"content-type"), b"application/json")
        await answer(call, reply.status, raw, kind)
    finally:
        reply.abort()


def _query(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.query.decode("latin-1")))
