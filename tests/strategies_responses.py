"""Hypothesis strategies for valid Responses requests, as decoded JSON: `items` of a conversation, `requests`. Knows no test."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.responses import Json, done
from tests.strategies import BASE64, NAME, OBJECT, SCHEMA, TEXT, WORDS, node

R_TEXT = node({"type": "input_text", "text": WORDS}, {"prompt_cache_breakpoint": st.just({"mode": "explicit"})})
R_IMAGE = node(
    {"type": "input_image", "image_url": BASE64.map(lambda data: f"data:image/png;base64,{data}")},
    {"detail": st.sampled_from(["auto", "high"])},
) | node({"type": "input_image", "file_id": NAME})
R_FILE = node(
    {
        "type": "input_file",
        "file_data": BASE64.map(lambda data: f"data:application/pdf;base64,{data}"),
        "filename": st.just("a.pdf"),
    }
) | node({"type": "input_file", "file_id": NAME})
R_FUTURE = st.builds(lambda inside: {"type": "part_of_tomorrow", "inside": inside}, OBJECT)
R_SAID = node({"type": "output_text", "text": WORDS, "annotations": []}) | node({"type": "refusal", "refusal": WORDS})
R_ANSWER = node(
    {
        "type": "message",
        "role": "assistant",
        "id": NAME,
        "status": "completed",
        "content": st.lists(R_SAID, min_size=1, max_size=2),
    },
    {"phase": st.just("commentary")},
)
R_REASONING = node(
    {"type": "reasoning", "id": NAME, "summary": st.lists(node({"type": "summary_text", "text": TEXT}), max_size=2)},
    {"encrypted_content": NAME},
)
R_HOSTED = st.sampled_from(
    [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1", "container_id": "c", "outputs": []},
    ]
)
R_ITEM_OF_TOMORROW = st.builds(lambda inside: {"type": "item_of_tomorrow", "inside": inside}, OBJECT)


@st.composite
def items(draw: st.DrawFn, rounds: st.SearchStrategy[int], *, foreign: bool) -> list[Json]:
    found = draw(st.lists(node({"role": st.sampled_from(["system", "developer"]), "content": WORDS}), max_size=2))
    part = R_TEXT | R_IMAGE | R_FILE | (R_FUTURE if foreign else R_TEXT)
    asked = node(
        {"role": "user", "content": WORDS | st.lists(part, min_size=1, max_size=2)}, {"type": st.just("message"), "id": NAME}
    )
    for number in range(draw(rounds)):
        found.append(draw(asked))
        found += draw(st.lists(R_REASONING, max_size=1))
        hosted: st.SearchStrategy[Any] = R_HOSTED | R_ITEM_OF_TOMORROW if foreign else R_HOSTED
        found += draw(st.lists(hosted, max_size=1))
        found += draw(st.lists(R_ANSWER, min_size=1, max_size=2))
        called = [draw(a_call(f"call_{number}_{index}")) for index in range(draw(st.integers(0, 2)))]
        found += [each for each, _ in called]
        found += [each for _, each in reversed(called)]
    return [*found, draw(asked)]


@st.composite
def a_call(draw: st.DrawFn, ident: str) -> tuple[Json, Json]:
    output = draw(TEXT | st.lists(R_TEXT | R_IMAGE, min_size=1, max_size=2))
    if draw(st.booleans()):
        said = json.dumps(draw(OBJECT), indent=draw(st.sampled_from([None, 2])))
        return draw(node({"type": "function_call", "call_id": ident, "name": NAME, "arguments": said})), done(output, ident)
    made = draw(node({"type": "custom_tool_call", "call_id": ident, "name": NAME, "input": TEXT}, {"id": NAME}))
    return made, {"type": "custom_tool_call_output", "call_id": ident, "output": output}


R_TOOL = (
    node({"type": "function", "name": NAME, "parameters": SCHEMA}, {"description": TEXT, "strict": st.booleans()})
    | node({"type": "custom", "name": NAME}, {"format": st.just({"type": "text"})})
    | node({"type": "namespace", "name": NAME, "description": TEXT, "tools": st.just([{"type": "function", "name": "f"}])})
    | st.sampled_from([{"type": "local_shell"}, {"type": "shell"}, {"type": "apply_patch"}, {"type": "web_search"}])
)
R_PARAMS: Json = {
    "instructions": WORDS,
    "max_output_tokens": st.integers(16, 9999),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "include": st.just(["reasoning.encrypted_content", "message.output_text.logprobs"]),
    "top_logprobs": st.integers(0, 20),
    "metadata": st.just({"a": "b"}),
    "store": st.booleans(),
    "safety_identifier": TEXT,
    "user": TEXT,
    "service_tier": st.sampled_from(["auto", "flex"]),
    "prompt_cache_key": TEXT,
    "reasoning": node({}, {"effort": st.sampled_from(["none", "high"]), "summary": st.just("auto")}).filter(bool),
    "text": node(
        {},
        {
            "verbosity": st.just("low"),
            "format": st.sampled_from([{"type": "text"}, {"type": "json_object"}])
            | node({"type": "json_schema", "name": NAME, "schema": SCHEMA}, {"strict": st.booleans(), "description": TEXT}),
        },
    ).filter(bool),
    "tools": st.lists(R_TOOL, min_size=1, max_size=3),
    "tool_choice": st.sampled_from(["none", "required", {"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}]),
    "parallel_tool_calls": st.booleans(),
    "stream": st.just(True),
    "stream_options": node({"include_obfuscation": st.booleans()}),
    "truncation": st.sampled_from(["auto", "disabled"]),
    "previous_response_id": NAME,
}


@st.composite
def requests(draw: st.DrawFn, *, foreign: bool = True) -> Json:
    body = draw(node({"model": NAME}, R_PARAMS))
    body["input"] = draw(items(st.integers(0, 3), foreign=foreign) | WORDS)
    return body
