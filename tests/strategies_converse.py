"""Hypothesis strategies for valid Converse requests, as decoded JSON. Knows no test."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.strategies import BASE64, NAME, OBJECT, SCHEMA, TEXT

Json = dict[str, Any]

POINT = st.sampled_from([{"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}])
SOURCE = st.builds(lambda data: {"bytes": data}, BASE64) | st.just({"s3Location": {"uri": "s3://bucket/key"}})
IMAGE = st.builds(lambda form, source: {"image": {"format": form, "source": source}}, st.sampled_from(["png", "gif"]), SOURCE)
DOCUMENT = st.builds(
    lambda form, name, source: {"document": {"format": form, "name": name, "source": source}},
    st.sampled_from(["pdf", "xlsx", "txt"]),
    NAME,
    SOURCE | st.builds(lambda text: {"text": text}, TEXT),
)
A_TEXT = st.builds(lambda text: {"text": text}, TEXT)
FUTURE = st.builds(lambda inside: {"blockOfTomorrow": inside}, OBJECT)
GUARDED = st.builds(lambda text: {"guardContent": {"text": {"text": text, "qualifiers": ["query"]}}}, TEXT)
FOUND = st.builds(lambda text: {"searchResult": {"source": text, "title": text, "content": [{"text": text}]}}, TEXT)
CITED = st.builds(lambda text: {"citationsContent": {"content": [{"text": text}], "citations": [{"title": text}]}}, TEXT)
THOUGHT = st.builds(
    lambda text, signature: {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}, TEXT, TEXT
) | st.builds(lambda data: {"reasoningContent": {"redactedContent": data}}, BASE64)


@st.composite
def pointed(draw: st.DrawFn, blocks: st.SearchStrategy[Json], least: int = 1) -> list[Json]:
    """Blocks, some with a cache point behind them."""
    out: list[Json] = []
    for block in draw(st.lists(blocks, min_size=least, max_size=3)):
        out += [block, draw(POINT)] if draw(st.booleans()) else [block]
    return out


@st.composite
def converse_requests(draw: st.DrawFn) -> Json:
    messages: list[Json] = []
    pending: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        results = [{"toolResult": {"toolUseId": ident, "content": draw(CONTENT)}} for ident in pending]
        asks = draw(pointed(A_TEXT | IMAGE | DOCUMENT | GUARDED | FOUND | FUTURE, 0 if results else 1))
        messages.append({"role": "user", "content": [*results, *asks]})
        pending = [f"call_{number}_{index}" for index in range(draw(st.integers(0, 2)))]
        calls = [{"toolUse": {"toolUseId": ident, "name": draw(NAME), "input": draw(OBJECT)}} for ident in pending]
        messages.append({"role": "assistant", "content": [*draw(pointed(A_TEXT | THOUGHT | CITED)), *calls]})
    results = [{"toolResult": {"toolUseId": ident, "content": draw(CONTENT), "status": "error"}} for ident in pending]
    messages.append({"role": "user", "content": results or draw(pointed(A_TEXT))})
    return {"messages": messages, **draw(MEMBERS)}


CONTENT = st.lists(A_TEXT | IMAGE | DOCUMENT | st.builds(lambda value: {"json": value}, OBJECT), max_size=2)
SPEC = st.builds(lambda name, schema: {"toolSpec": {"name": name, "inputSchema": {"json": schema}}}, NAME, SCHEMA)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "system": pointed(A_TEXT | GUARDED),
        "toolConfig": st.fixed_dictionaries(
            {"tools": pointed(SPEC | st.just({"systemTool": {"name": "nova_grounding"}}))},
            optional={"toolChoice": st.sampled_from([{"auto": {}}, {"any": {}}, {"tool": {"name": "f"}}])},
        ),
        "inferenceConfig": st.fixed_dictionaries(
            {},
            optional={"maxTokens": st.integers(1, 99), "temperature": st.just(0.5), "stopSequences": st.lists(TEXT, max_size=2)},
        ).filter(bool),
        "additionalModelRequestFields": st.fixed_dictionaries(
            {},
            optional={
                "thinking": st.just({"type": "enabled", "budget_tokens": 2000}),
                "output_config": st.sampled_from([{"effort": "high"}, {"effort": "high", "x": 1}]),
                "topK": st.integers(0, 9),
                "x": OBJECT,
            },
        ).filter(bool),
        "requestMetadata": st.dictionaries(NAME, NAME, min_size=1, max_size=2),
        "serviceTier": st.just({"type": "priority"}),
        "outputConfig": st.just({"effort": "low"}),
        "memberOfTomorrow": OBJECT.filter(bool),
    },
)
