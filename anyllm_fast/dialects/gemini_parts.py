"""Reads the parts of Gemini's contents. Writes nothing, pairs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.gemini_media import read_file, read_inline
from anyllm_fast.dialects.gemini_signature import CALL, MEDIA, NAME, TEXT, THOUGHT, Proof, read_proof
from anyllm_fast.dialects.gemini_spelling import open_message, open_messages, spelled
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import (
    encode,
    is_string,
    leftovers,
    need_string,
    open_object,
    string_of,
    take,
    take_flag,
    take_object,
    take_string,
    take_text,
    wrong,
)
from anyllm_fast.neutral.request import Foreign, Media, Members, Part, Text, Thinking, ToolCall, ToolResult

EMPTY: Final = Raw(b'""')
_NO_ARGUMENTS: Final = Raw(b"{}")
_TRUE: Final = Raw(b"true")
_ANSWERS: Final = ("output", "error")


def made_id(where: Where) -> Raw:
    """The id of a call that came without one: the same as long as the conversation before it is."""
    steps: list[str] = []
    while where:
        where, last = where
        if isinstance(last, int):
            steps.append(str(last))
    return string_of("call_" + "_".join(reversed(steps)))


class Reader:
    """Reads the parts of one turn, in order. Signatures count in an answer of the model alone."""

    __slots__ = ("_answer", "parts")

    def __init__(self, answer: bool) -> None:
        self._answer = answer
        self.parts: list[Part] = []

    def read(self, members: Members, where: Where) -> None:
        members = spelled(members)
        thought = take_flag(members, "thought", where) or False
        signature = take_string(members, "thoughtSignature", where) if self._answer else None
        if thought and not self._answer:
            members["thought"] = _TRUE  # only a model thinks: to be announced
        known = [name for name in _READERS if name in members and take_known(members, name)]
        for name in known:
            raw = members.pop(name)
            if signature is not None and name in ("executableCode", "codeExecutionResult", "toolCall", "toolResponse"):
                members["thoughtSignature"] = signature  # goes back on the part itself, which is kept whole
                signature = None
            _READERS[name](self, raw, members, where, thought and self._answer)
            if signature is not None:
                self._sign(signature, name, where)
                signature = None
            members = {}
        if not known:
            if signature is not None:
                self._sign(signature, "", where)
            if thought:
                members["thought"] = _TRUE
            if rest := leftovers(members):
                unsaid: list[Where] = [(where, name) for name in rest]
                raw = Raw(encode(rest))
                self.parts.append(Foreign(type="part", raw=raw, parts=[], unsaid=unsaid, where=where))

    def _sign(self, signature: Raw, name: str, where: Where) -> None:
        """Says the signature of the last part: Gemini's own behind a text or a picture, as in its streams; else before the part,
        in the thought that stands there, if one does."""
        signed = self.parts.pop() if name else None
        span = bytes(signature)[1:-1]
        if isinstance(signed, Thinking):
            self._prove(read_proof(span, THOUGHT), signed, where)
            return
        kind = CALL if isinstance(signed, ToolCall) else MEDIA if isinstance(signed, Media) else TEXT
        proof = read_proof(span, kind)
        behind = kind != CALL and proof is not None and proof.origin == NAME
        if not behind:
            self._prove(proof, None, where)
        if signed is not None and not (isinstance(signed, Text) and signed.text == EMPTY and not signed.private):
            self.parts.append(signed)
        if behind and proof is not None:
            self.parts.append(Thinking(text=EMPTY, signature=Raw(b'"%b"' % proof.opaque), origin=NAME, where=where))

    def _prove(self, proof: Proof | None, thought: Thinking | None, where: Where) -> None:
        if proof is None or proof.data is not None:
            if thought is not None:
                self.parts.append(thought)
            if proof is not None and proof.data is not None:
                self.parts.append(Thinking(text=Raw(b'"%b"' % proof.data), origin=proof.origin, redacted=True, where=where))
            return
        if thought is None:
            thought = self._unsigned(proof.text) or Thinking(text=EMPTY, where=where)
        if proof.text:
            thought.text = Raw(b'"%b"' % proof.text)
        thought.signature, thought.origin = Raw(b'"%b"' % proof.opaque), proof.origin
        self.parts.append(thought)

    def _unsigned(self, text: bytes) -> Thinking | None:
        """The thought right before, taken back, and of several the pieces that `text` is made of."""
        last: Thinking | None = None
        while self.parts and isinstance(part := self.parts[-1], Thinking) and part.signature is None and not part.redacted:
            piece = bytes(part.text)[1:-1]
            if last is not None and not (text and text.endswith(piece + bytes(last.text)[1:-1])):
                break
            if last is not None:
                part.text = Raw(b'"%b"' % (piece + bytes(last.text)[1:-1]))
            last = part
            self.parts.pop()
        return last

    def text(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        if not is_string(raw):
            raise wrong(raw, "a string", (where, "text"))
        private = leftovers(members) if members else members
        self.parts.append(
            Thinking(text=raw, private=private, where=where) if thought else Text(text=raw, private=private, where=where)
        )

    def inline(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        self._media(read_inline(raw, where), members)

    def file(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        self._media(read_file(raw, where), members)

    def _media(self, media: Media, members: Members) -> None:
        media.private = leftovers(members)
        self.parts.append(media)

    def call(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        here: Where = (where, "functionCall")
        inside = open_message(raw, here)
        call = ToolCall(
            ident=take_string(inside, "id", here) or EMPTY,
            name=need_string(inside, "name", here),
            args=take_object(inside, "args", here) or _NO_ARGUMENTS,
            private=leftovers(members),
            where=where,
        )
        if call.ident == EMPTY:
            call.ident = made_id(where)
        if rest := leftovers(inside):
            call.inner = {"functionCall": rest}
        self.parts.append(call)

    def response(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        """`response` is an object: {output} and {error} have a meaning, any other is the output itself."""
        here: Where = (where, "functionResponse")
        inside = open_message(raw, here)
        result = ToolResult(ident=take_string(inside, "id", here) or EMPTY, parts=[], where=here)
        result.name = take_string(inside, "name", here)
        given = take_object(inside, "response", here)
        if given is not None:
            _read_response(given, result, (here, "response"))
        media = take(inside, "parts")
        if media is not None:
            place: Where = (here, "parts")
            for index, each in enumerate(open_messages(media, place)):
                self._result_media(result, each, (place, index))
        result.private = leftovers(inside)
        self.parts.append(result)
        if rest := leftovers(members):
            foreign = Foreign(type="part", raw=_NO_ARGUMENTS, parts=[], unsaid=[(where, name) for name in rest], where=where)
            self.parts.append(foreign)

    def _result_media(self, result: ToolResult, members: Members, where: Where) -> None:
        result.plain = False
        raw = take(members, "inlineData")
        media = read_inline(raw, where) if raw is not None else None
        raw = take(members, "fileData")
        media = read_file(raw, where) if raw is not None and media is None else media
        if media is not None:
            media.private = leftovers(members)
            result.parts.append(media)
        elif rest := leftovers(members):
            whole = Raw(encode(rest))
            result.parts.append(Foreign(type="part", raw=whole, parts=[], unsaid=[(where, name) for name in rest], where=where))

    def code(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        here: Where = (where, "executableCode")
        inside = open_message(raw, here)
        language = (take_text(inside, "language", here) or "").lower().replace("language_unspecified", "")
        code = take_text(inside, "code", here) or ""
        self._foreign("executableCode", raw, members, where, f"```{language}\n{code}\n```", inside)

    def outcome(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        here: Where = (where, "codeExecutionResult")
        inside = open_message(raw, here)
        outcome = take_text(inside, "outcome", here) or "OUTCOME_OK"
        output = take_text(inside, "output", here) or ""
        said = f"```\n{output}\n```" if outcome == "OUTCOME_OK" else f"[{outcome}]\n```\n{output}\n```"
        self._foreign("codeExecutionResult", raw, members, where, said, inside)

    def server_call(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        self._server("toolCall", "args", raw, members, where)

    def server_response(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        self._server("toolResponse", "response", raw, members, where)

    def _server(self, name: str, said: str, raw: Raw, members: Members, where: Where) -> None:
        """A tool that Google ran: which, and what went in or came out."""
        here: Where = (where, name)
        inside = open_message(raw, here)
        kind = take_text(inside, "toolType", here) or "tool"
        value = take(inside, said)
        text = f"[{kind}: {'{}' if value is None else bytes(value).decode()}]"
        self._foreign(name, raw, members, where, text, inside)

    def transcription(self, raw: Raw, members: Members, where: Where, thought: bool) -> None:
        inside = open_message(raw, (where, "audioTranscription"))
        text = take_text(inside, "text", (where, "audioTranscription"))
        self._foreign("audioTranscription", raw, members, where, text or "", inside)

    def _foreign(self, name: str, raw: Raw, members: Members, where: Where, text: str, left: Members) -> None:
        said: list[Part] = [Text(text=string_of(text), where=where)] if text else []
        unsaid: list[Where] = [((where, name), member) for member in leftovers(left) if member != "id"]
        unsaid += [(where, member) for member in leftovers(members)]
        whole = Raw(encode({name: raw, **members}))
        self.parts.append(Foreign(type=name, raw=whole, parts=said, unsaid=unsaid, where=where))


def take_known(members: Members, name: str) -> bool:
    """Whether the member says something; one that is null is taken out."""
    if members[name] == Raw(b"null"):
        del members[name]
        return False
    return True


def _read_response(raw: Raw, result: ToolResult, where: Where) -> None:
    inside = open_object(raw, where)
    name = next((name for name in _ANSWERS if inside.keys() == {name}), None)
    if name is None:
        result.parts.append(Text(text=string_of(bytes(raw).decode()), where=where))
        return
    value = inside[name]
    result.failed = name == "error"
    result.plain = is_string(value)
    text = value if is_string(value) else string_of(bytes(value).decode())
    result.parts.append(Text(text=text, where=(where, name)))


def said_by(result: ToolResult) -> list[bytes]:
    """The texts of a result, to tell whether two are the same."""
    return [bytes(part.text) for part in result.parts if isinstance(part, Text)]


_READERS: Final[dict[str, Callable[[Reader, Raw, Members, Where, bool], None]]] = {
    "text": Reader.text,
    "functionCall": Reader.call,
    "functionResponse": Reader.response,
    "inlineData": Reader.inline,
    "fileData": Reader.file,
    "executableCode": Reader.code,
    "codeExecutionResult": Reader.outcome,
    "toolCall": Reader.server_call,
    "toolResponse": Reader.server_response,
    "audioTranscription": Reader.transcription,
}
