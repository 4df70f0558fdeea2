"""Generated requests of every dialect, one more turn for each, and what was said in them: one row a dialect. Asserts nothing.

`foreign=False` is without what only the dialect itself knows, so that every other can be asked for the whole of it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.facts import FACTS, Json
from tests.gemini_bodies import gemini_requests, said
from tests.gemini_bodies import turns as gemini_turns
from tests.strategies import WORDS, anthropic_requests, anthropic_turns, chat_requests, chat_turns
from tests.strategies_converse import converse_requests
from tests.strategies_responses import items, requests

Requests = Callable[[bool], st.SearchStrategy[Json]]


class Spoken(NamedTuple):
    requests: Requests  # by `foreign`
    more: Callable[[], st.SearchStrategy[list[Json]]]  # a round that may follow an answer
    answer: Json
    tools: Json  # members that say which tools there are
    chooses: str  # the member that chooses among them, "" where it is inside `tools`
    args: Callable[[Json], Iterator[Any]]  # arguments of the calls in the turns, decoded


# -- what a call says --------------------------------------------------------------------------------------------------


def _blocks(body: Json, turns: str, content: str) -> Iterator[Json]:
    for turn in body[turns]:
        yield from turn[content] if isinstance(turn.get(content), list) else ()


def _anthropic_args(body: Json) -> Iterator[Any]:
    return (block["input"] for block in _blocks(body, "messages", "content") if block["type"] == "tool_use")


def _chat_args(body: Json) -> Iterator[Any]:
    for message in body["messages"]:
        for call in message.get("tool_calls", ()):
            free = call.get("custom")
            yield {"input": free["input"]} if free else json.loads(call["function"]["arguments"])


def _responses_args(body: Json) -> Iterator[Any]:
    for item in body["input"] if isinstance(body["input"], list) else ():
        if item.get("type") == "function_call":
            yield json.loads(item["arguments"])
        elif item.get("type") == "custom_tool_call":
            yield {"input": item["input"]}


def _gemini_args(body: Json) -> Iterator[Any]:
    parts = _blocks(body, "contents", "parts")
    return (part["functionCall"].get("args", {}) for part in parts if "functionCall" in part)


def _converse_args(body: Json) -> Iterator[Any]:
    return (block["toolUse"]["input"] for block in _blocks(body, "messages", "content") if "toolUse" in block)


# -- requests ----------------------------------------------------------------------------------------------------------


def _unsaid(turns: list[Json]) -> list[Json]:
    return [turn for turn in turns if turn.get("role") not in ("system", "developer")]


def _gemini(foreign: bool) -> st.SearchStrategy[Json]:
    """An empty generationConfig says nothing and is not written back; a conversation ends with the user."""
    made = gemini_requests().map(lambda body: {k: v for k, v in body.items() if (k, v) != ("generationConfig", {})})
    if foreign:
        return made
    return made.map(lambda body: {**_without(body, "cachedContent"), "contents": [*body["contents"], said({"text": "wendw"})]})


def _converse(foreign: bool) -> st.SearchStrategy[Json]:
    """Effort is said once: the generator may have said it in both of its places."""

    def once(body: Json) -> Json:
        twice = "effort" in body.get("outputConfig", {}) and "output_config" in body.get("additionalModelRequestFields", {})
        return _without(body, "outputConfig") if twice else body

    def plain(body: Json, word: str) -> Json:
        common: Json = _common(body, word)
        common["messages"][-1]["content"].append({"text": word})  # a last turn of white space alone would be none
        return common

    made = converse_requests().map(once)
    return made if foreign else st.builds(plain, made, WORDS)


def _common(value: Any, word: str) -> Any:
    """Converse without blocks of tomorrow and files that lie in S3: words stand in their place."""
    if isinstance(value, list):
        return [_common(item, word) for item in value]
    if not isinstance(value, dict):
        return value
    if "blockOfTomorrow" in value or any("s3Location" in inner.get("source", ()) for inner in _objects(value)):
        return {"text": word}
    return {name: inner if name in ("input", "json") else _common(inner, word) for name, inner in value.items()}


def _objects(value: Json) -> Iterator[Json]:
    return (inner for name, inner in value.items() if name in ("image", "document") and isinstance(inner, dict))


def _without(body: Json, name: str) -> Json:
    return {key: value for key, value in body.items() if key != name}


def _responses(foreign: bool) -> st.SearchStrategy[Json]:
    made = requests(foreign=foreign)
    if foreign:
        return made
    return made.filter(lambda body: isinstance(body["input"], list)).map(lambda body: _without(body, "previous_response_id"))


SCHEMA: Json = {"type": "object", "properties": {}}
SPOKEN: dict[str, Spoken] = {
    "anthropic": Spoken(
        requests=lambda foreign: anthropic_requests(foreign=foreign),
        more=lambda: anthropic_turns(st.just(1), foreign=False),
        answer={"role": "assistant", "content": "wanswerw"},
        tools={"tools": [{"name": "f", "input_schema": SCHEMA}]},
        chooses="tool_choice",
        args=_anthropic_args,
    ),
    "openai_chat": Spoken(
        requests=lambda foreign: chat_requests(foreign=foreign),
        more=lambda: chat_turns(st.just(1), foreign=False).map(_unsaid),
        answer={"role": "assistant", "content": "wanswerw"},
        tools={"tools": [{"type": "function", "function": {"name": "f"}}]},
        chooses="tool_choice",
        args=_chat_args,
    ),
    "openai_responses": Spoken(
        requests=_responses,
        more=lambda: items(st.just(1), foreign=False).map(_unsaid),
        answer={"role": "assistant", "content": "wanswerw"},
        tools={"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
        chooses="tool_choice",
        args=_responses_args,
    ),
    "gemini": Spoken(
        requests=_gemini,
        more=lambda: gemini_turns(st.just(1)).map(lambda turns: [*turns, said({"text": "wnextw"})]),
        answer=said({"text": "wanswerw"}, role="model"),
        tools={"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        chooses="toolConfig",
        args=_gemini_args,
    ),
    "bedrock": Spoken(
        requests=_converse,
        more=lambda: _converse(False).map(lambda body: body["messages"]),
        answer={"role": "assistant", "content": [{"text": "wanswerw"}]},
        tools={"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}]}},
        chooses="",
        args=_converse_args,
    ),
}


@st.composite
def continued(draw: st.DrawFn, source: str) -> tuple[Json, Json]:
    """A request and the same one an answer and a question later. Its tools, which make the calls, were there before."""
    spoken, turns = SPOKEN[source], FACTS[source].turns
    body = {**_without(draw(spoken.requests(False)), spoken.chooses), **spoken.tools}
    longer = copy.deepcopy(body)
    longer[turns] += [spoken.answer, *draw(spoken.more())]
    return body, longer


def texts_of(source: str, body: Json) -> list[str]:
    """What users and models said in plain words. White space at the ends of a text may go, so such texts do not count."""
    found: list[str] = []
    for turn in body[FACTS[source].turns]:
        content = turn.get("content", turn.get("parts"))
        if turn.get("role") is None:
            continue
        for part in [{"text": content}] if isinstance(content, str) else content or ():
            text = part.get("text")
            if isinstance(text, str) and not part.get("thought") and part.get("type") in _PLAIN:
                found.append(text)
    return [text for text in found if text.strip() and text == text.strip()]


_PLAIN = (None, "text", "input_text", "output_text")
