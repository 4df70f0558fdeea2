"""The two spellings of Gemini's members: camelCase as the API documents them, snake_case as its SDKs also send. Reads no meaning.

Protobuf's JSON takes both everywhere, and google-genai mixes them in one body. Only members of the API's own messages are
respelled; keys of the client's (arguments, labels, properties of a schema) are opened elsewhere.
"""

from __future__ import annotations

from msgspec import Raw

from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import open_object, open_objects, take
from anyllm_fast.neutral.request import Members


def camel(name: str) -> str:
    head, *words = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in words) if head else name


def spelled(members: Members) -> Members:
    """The members under their documented names; where a client wrote both, the documented one counts."""
    if not any("_" in name for name in members):
        return members
    out = {name: raw for name, raw in members.items() if camel(name) == name}
    for name, raw in members.items():
        out.setdefault(camel(name), raw)
    return out


def open_message(raw: Raw, where: Where) -> Members:
    return spelled(open_object(raw, where))


def open_messages(raw: Raw, where: Where) -> list[Members]:
    return [spelled(members) for members in open_objects(raw, where)]


def take_message(members: Members, name: str, where: Where) -> Members | None:
    """The members of an object in a member, which is taken out; None if it is absent or null."""
    raw = take(members, name)
    return None if raw is None else open_message(raw, (where, name))
