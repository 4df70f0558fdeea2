"""Writes the conversation of a Gemini request: systemInstruction and contents. Reads nothing.

What the API demands and a neutral conversation need not have: user and model take turns (neighbours of one role are put
together), the user begins, the responses to all calls of an answer follow it at once and in their order, no text is empty.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from anyllm_fast.dialects.gemini_config import said_in_words
from anyllm_fast.dialects.gemini_contents import held_name
from anyllm_fast.dialects.gemini_media import label_of, write_media
from anyllm_fast.dialects.gemini_parts import EMPTY, made_id
from anyllm_fast.dialects.gemini_signature import CALL, MEDIA, NAME, SKIP, TEXT, THOUGHT, split
from anyllm_fast.dialects.gemini_tools import tool_name
from anyllm_fast.neutral.losses import Where
from anyllm_fast.neutral.members import decode_object, joined, refuse, string_of, text_of
from anyllm_fast.neutral.outgoing import Json, Outgoing
from anyllm_fast.neutral.pairing import Step, pair
from anyllm_fast.neutral.request import Foreign, Media, Part, Refusal, Text, Thinking, ToolCall, ToolResult, Turn, hoisted

JSON_ONLY: Final = "Answer with one JSON object and nothing else: no code fence, no words before or after it."
_BEHIND: Final = {TEXT: "text", MEDIA: "inlineData"}
"""Kinds of parts that are signed at their end, and their members."""
_SKIP: Final = Raw(b'"' + SKIP + b'"')


class _Content:
    """One outgoing content in the making. `due`: signatures that wait for the part they belong on, in their order."""

    __slots__ = ("due", "parts", "role", "turn")

    def __init__(self, role: str, turn: Turn | None) -> None:
        self.role = role
        self.parts: list[Json] = []
        self.turn = turn
        self.due: list[tuple[str, Raw, Where]] = []

    def add(self, part: Json, kind: str) -> None:
        for at, (wanted, value, _) in enumerate(self.due):
            if wanted in (kind, ""):
                part["thoughtSignature"] = value
                del self.due[at]
                break
        self.parts.append(part)

    def sign(self, kind: str, value: Raw) -> bool:
        """Puts a signature that comes behind its text or picture on it; False where that is not what stands there."""
        last = self.parts[-1] if self.parts else {}
        if last.keys() & {"thought", "thoughtSignature"} or _BEHIND.get(kind) not in last:
            return False
        last["thoughtSignature"] = value
        return True


class Conversation:
    """`systemInstruction` and `contents` of one request."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._contents: list[_Content] = []
        self._made: set[bytes] = set()  # ids that the reader made for calls without one

    def write(self, out: Json) -> None:
        """Sets both members; `contents` comes last, so that a longer conversation only adds to the end of the body."""
        outgoing = self._outgoing
        leading, turns = ([], outgoing.request.turns) if outgoing.own else hoisted(outgoing.request)
        system = self._system(leading)
        if outgoing.own and turns and (name := held_name(turns[0])) is not None:
            out["cachedContent"] = name
            turns = turns[1:]
        for step in pair(turns if outgoing.own else _visible(turns)):
            self._step(step)
        for content in self._contents:
            self._settle(content)
        kept = [content for content in self._contents if content.parts or outgoing.own]
        if not kept and system and not outgoing.own:
            content = _Content("user", None)
            content.parts, system = system, []
            kept.append(content)
        if not outgoing.own and turns and (not kept or kept[0].role == "model"):  # the API wants a user first
            opening = _Content("user", None)
            opening.parts = [{"text": "."}]
            kept.insert(0, opening)
        if system:
            out["systemInstruction"] = system[0]["text"] if outgoing.own and outgoing.request.system_plain else {"parts": system}
        out["contents"] = [self._closed(content) for content in kept]

    def _system(self, leading: list[Turn]) -> list[Json]:
        """Only text can be a system prompt; pictures and files in one become the user's first words."""
        request, own = self._outgoing.request, self._outgoing.own
        content = _Content("system", None)
        texts: list[Part] = [text for text in request.system if own or not text.vendor_only]
        for turn in leading:
            self._announce(turn)
            said, shown = self._parted(turn.parts)
            texts += said
            if shown:
                self._write(shown, self._content("user", turn))
        self._write(texts, content)
        if said_in_words(self._outgoing) and request.format is not None:
            self._outgoing.lose(request.format.where, "the model takes no schema beside functions: it is only asked for JSON")
            schema = request.format.schema
            words = JSON_ONLY if schema is None else f"{JSON_ONLY} It has to fit this JSON schema:\n{bytes(schema).decode()}"
            content.parts.append({"text": words})
        return content.parts

    def _parted(self, parts: list[Part]) -> tuple[list[Part], list[Part]]:
        """(texts, all others) of a system turn; what only its own dialect knows as what it says."""
        texts: list[Part] = []
        others: list[Part] = []
        for part in parts:
            if isinstance(part, Foreign) and part.parts is not None:
                self._outgoing.foreign(part)
                if part.cache is not None:
                    self._uncached(part.cache.where)
                said, shown = self._parted(part.parts)
                texts += said
                others += shown
            else:
                (texts if isinstance(part, Text) else others).append(part)
        return texts, others

    def _step(self, step: Step) -> None:
        for turn in step.turns:
            self._announce(turn)
        turn = step.turns[0]
        if turn.role == "system":
            self._system_turn(step)
            return
        content = self._content("model" if turn.role == "assistant" else "user", turn)
        self._write(step.parts, content)
        if turn.role == "assistant" and self._outgoing.profile.call_signatures and not self._outgoing.own:
            _sign_first_call(content)
        if step.results:
            results = self._content("user", next((each for each in step.turns if each.role == "user"), None))
            names = {bytes(part.ident): part.name for part in step.parts if type(part) is ToolCall}
            for result in step.results:
                self._result(result, names[bytes(result.ident)], results)

    def _content(self, role: str, turn: Turn | None) -> _Content:
        """The content that takes a turn's parts: the last one if it has the role, unless it was sent apart in this dialect."""
        last = self._contents[-1] if self._contents else None
        if last is not None and not self._outgoing.own and not last.parts and last.role != role:
            self._contents.pop()  # nothing of it was left to say
            last = self._contents[-1] if self._contents else None
        if last is not None and last.role == role and (not self._outgoing.own or last.turn is None):
            last.turn = last.turn or turn  # results that the rest of their own turn follows have none yet
            return last
        content = _Content(role, turn)
        self._contents.append(content)
        return content

    def _system_turn(self, step: Step) -> None:
        """The words go as the user's, marked as what they are."""
        said, shown = self._parted(step.parts)
        content = self._content("user", step.turns[0])
        for part in said:
            self._beside(part)
        texts = [part.text for part in said if isinstance(part, Text) and part.text != EMPTY]
        if texts:
            content.parts.append({"text": Raw(b'"<system>\\n' + bytes(joined(texts, b"\\n"))[1:-1] + b'\\n</system>"')})
        self._write(shown, content)

    def _write(self, parts: list[Part], content: _Content) -> None:
        outgoing = self._outgoing
        for part in parts:
            match part:
                case Text() | Refusal():
                    if part.text != EMPTY or outgoing.own:
                        content.add(self._text(part), TEXT)
                    else:
                        self._beside(part)
                case ToolCall():
                    self._flush(content)
                    content.add(self._call(part), CALL)
                case Media():
                    self._media(part, content)
                case Thinking():
                    self._thinking(part, content)
                case Foreign():
                    self._foreign(part, content)
                case ToolResult():
                    raise refuse(part.where, "a tool result belongs into a user turn, behind the call that it answers")

    def _text(self, part: Text | Refusal) -> Json:
        out: Json = {"text": part.text}
        self._beside(part)
        if self._outgoing.own:
            self._outgoing.private(out, part.private, part.where)
        return out

    def _beside(self, part: Part) -> None:
        """Announces what a text has beside its words."""
        outgoing = self._outgoing
        if isinstance(part, Text):
            if part.citations is not None and bytes(part.citations) != b"[]":
                outgoing.lose((part.where, "citations"), "the target takes no citations")
            if part.cache is not None:
                self._uncached(part.cache.where)
                outgoing.private({}, part.cache.private, part.cache.where)
        if isinstance(part, Text | Refusal) and not outgoing.own:
            outgoing.private({}, part.private, part.where)

    def _uncached(self, where: Where) -> None:
        self._outgoing.lose(where, "the target caches prompts unasked")

    def _thinking(self, part: Thinking, content: _Content) -> None:
        """Gemini's own signatures go back on the kind of part that they came on. Other vendors' thoughts are of no use to it."""
        outgoing = self._outgoing
        signature = b"" if part.signature is None else bytes(part.signature)[1:-1]
        if part.origin != NAME and not (outgoing.own and not signature):
            outgoing.lose(part.where, "reasoning that is bound to another provider")
            return
        out: Json = {"text": part.text, "thought": True}
        outgoing.private(out, part.private, part.where)
        kind, value = split(signature)
        if kind == THOUGHT:
            out["thoughtSignature"] = Raw(b'"%b"' % value)
        elif value and not content.sign(kind, Raw(b'"%b"' % value)):
            content.due.append((kind, Raw(b'"%b"' % value), part.where))
        if part.text != EMPTY or kind == THOUGHT or not value:
            content.parts.append(out)

    def _flush(self, content: _Content) -> None:
        """Signatures of texts that are gone, or that came behind their text, get an empty one, as in Gemini's own streams."""
        for value in [value for kind, value, _ in content.due if kind == TEXT]:
            content.parts.append({"text": "", "thoughtSignature": value})
        content.due = [each for each in content.due if each[0] != TEXT]

    def _settle(self, content: _Content) -> None:
        self._flush(content)
        for kind, value, where in content.due:
            if kind == "":
                content.parts.append({"text": "", "thoughtSignature": value})
            else:
                self._outgoing.lose(where, "the part that this signature belongs on is not there")

    def _call(self, part: ToolCall) -> Json:
        outgoing = self._outgoing
        call: Json = {"id": part.ident}
        if outgoing.own and part.ident == made_id(part.where):
            self._made.add(bytes(part.ident))
            call = {}
        call["name"] = tool_name(part.name, (part.where, "name"), outgoing)
        call["args"] = {"input": part.args} if part.custom else part.args
        if part.cache is not None:
            self._uncached(part.cache.where)
        out: Json = {"functionCall": call}
        outgoing.private(out, part.private, part.where)
        outgoing.inner(out, part.inner, part.where)
        return out

    def _result(self, result: ToolResult, name: Raw, content: _Content) -> None:
        """`name` is the call's: the API wants both id and name."""
        outgoing = self._outgoing
        response: Json = {} if bytes(result.ident) in self._made else {"id": result.ident}
        response["name"] = tool_name(name, (result.where, "name"), outgoing)
        texts: list[Raw] = []
        media: list[Media] = []
        self._sort(result.parts, texts, media)
        response["response"] = self._said(result, texts)
        if media and (outgoing.own or outgoing.profile.media_results):
            response["parts"] = [write_media(each, outgoing) for each in media]
            media = []
        if result.cache is not None:
            self._uncached(result.cache.where)
        if outgoing.own:
            response.update(result.private)
        else:
            outgoing.private({}, result.private, result.where)
        content.parts.append({"functionResponse": response})
        for number, each in enumerate(media, 1):
            label = f"[{each.kind} {number} of the result of tool call {text_of(result.ident)}]"
            content.parts += [{"text": label}, write_media(each, outgoing)]

    def _sort(self, parts: list[Part], texts: list[Raw], media: list[Media]) -> None:
        """What a result says, and what it shows. In place of a picture that follows stands where it is."""
        outgoing = self._outgoing
        for part in parts:
            match part:
                case Text() | Refusal():
                    self._beside(part)
                    texts.append(part.text)
                case Media() if (said := _as_texts(part)) is not None:
                    self._announce_media(part)
                    self._sort(said, texts, media)
                case Media():
                    media.append(part)
                    texts += label_of(part) if not outgoing.own else []
                    if not (outgoing.own or outgoing.profile.media_results):
                        texts.append(string_of(f"[{part.kind} {len(media)} of this result follows]"))
                case Foreign():
                    if part.parts is None:
                        raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
                    outgoing.foreign(part)
                    if part.cache is not None:
                        self._uncached(part.cache.where)
                    self._sort(part.parts, texts, media)
                case _:
                    raise refuse(part.where, "a part that the target does not take in a tool result")

    def _said(self, result: ToolResult, texts: list[Raw]) -> Json | Raw:
        if self._outgoing.own and not result.plain and len(texts) == 1 and not result.failed:
            said = text_of(texts[0]).encode()
            if said.startswith(b"{"):
                return Raw(said)
        text: Raw | Json = joined(texts, b"\\n") if texts else EMPTY
        return {"error" if result.failed else "output": text}

    def _media(self, part: Media, content: _Content) -> None:
        outgoing = self._outgoing
        said = None if outgoing.own else _as_texts(part)
        if said is not None:
            self._announce_media(part)
            self._write(said, content)
            return
        if not outgoing.own:
            content.parts += [{"text": text} for text in label_of(part)]
        content.add(write_media(part, outgoing), MEDIA)

    def _announce_media(self, part: Media) -> None:
        outgoing = self._outgoing
        if part.citations is not None:
            outgoing.lose((part.where, "citations"), "the target cites no documents")
        if part.cache is not None:
            self._uncached(part.cache.where)
        outgoing.private({}, part.private, part.where)
        outgoing.inner({}, part.inner, part.where)

    def _foreign(self, part: Foreign, content: _Content) -> None:
        outgoing = self._outgoing
        if outgoing.own:
            content.parts.append(dict(decode_object(part.raw)))
            return
        if part.parts is None:
            raise refuse(part.where, f"a {part.type} part cannot be carried to this target")
        outgoing.foreign(part)
        if part.cache is not None:
            self._uncached(part.cache.where)
        self._write(part.parts, content)

    def _announce(self, turn: Turn) -> None:
        if self._outgoing.own:
            return
        if turn.private or turn.inner:
            self._outgoing.private({}, turn.private, turn.where)
            self._outgoing.inner({}, turn.inner, turn.where)
        if turn.name is not None:
            self._outgoing.lose((turn.where, "name"), "the target's turns have no participant's name")

    def _closed(self, content: _Content) -> Json:
        out: Json = {"role": content.role, "parts": content.parts}
        if content.turn is not None and self._outgoing.own:
            out.update(content.turn.private)
        return out


def _as_texts(part: Media) -> list[Part] | None:
    """A document that was given as text or as content; None for any other."""
    if part.text is None and part.parts is None:
        return None
    texts: list[Part] = [Text(text=text, where=part.where) for text in label_of(part)]
    return [*texts, *(part.parts or [])] if part.text is None else [*texts, Text(text=part.text, where=part.where)]


def _sign_first_call(content: _Content) -> None:
    """Newest models refuse an answer whose first call is unsigned; this is what they take for one that they did not make."""
    first = next((part for part in content.parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", _SKIP)


def _visible(turns: list[Turn]) -> list[Turn]:
    """Without the system turns that a later user turn has made invisible."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [turn for place, turn in enumerate(turns) if not turn.transient or place > last]
