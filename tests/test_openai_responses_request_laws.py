"""Laws of Responses requests, over generated ones and the corpus: the way home, prefixes, published types."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from anyllm_fast.dialects import anthropic_request, openai_chat_request, openai_responses_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.responses import (
    Json,
    done,
    sent,
    without_nulls,
    written,
)
from tests.sdk_types import problems
from tests.strategies import (
    BASE64,
    NAME,
    OBJECT,
    SCHEMA,
    TEXT,
    WORDS,
    anthropic_requests,
    anthropic_turns,
    chat_requests,
    chat_turns,
    node,
    spelled,
)

CORPUS = sorted((Path(__file__).parent / "corpus" / "requests").glob("openai_responses-*.json"))
LIMITS = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_body_of_the_corpus_comes_home_as_it_left(path: Path) -> None:
    body = json.loads(path.read_bytes())
    request = openai_responses_request.read_request(path.read_bytes(), Losses())
    losses = Losses()
    out = openai_responses_request.write_request(request, body["model"], Profile(), losses)
    assert without_nulls(json.loads(out)) == without_nulls(body)
    assert not losses


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


@LIMITS
@given(body=requests(), ascii_only=st.booleans())
def test_a_request_comes_home_as_it_left(body: Json, ascii_only: bool) -> None:
    losses = Losses()
    request = openai_responses_request.read_request(spelled(body, ascii_only), losses)
    out = openai_responses_request.write_request(request, request.model, Profile(), losses)
    assert json.loads(out) == body
    assert not losses


@LIMITS
@given(body=requests(), target=st.sampled_from([openai_chat_request, anthropic_request]))
def test_nothing_but_a_refusal_with_its_path_is_ever_raised(body: Json, target: Any) -> None:
    try:
        sent(target, body)
    except InvalidRequest as error:
        assert error.where


@pytest.mark.parametrize(("reader", "bodies"), [(anthropic_request, anthropic_requests), (openai_chat_request, chat_requests)])
def test_what_is_written_is_a_request_of_the_published_type(reader: Any, bodies: Any) -> None:
    """But for the ids of answers that nobody has stored: Codex, too, leaves them out."""

    @LIMITS
    @given(body=bodies(), custom_tools=st.booleans())
    def check(body: Json, custom_tools: bool) -> None:
        try:
            out, _ = written(reader, body, Profile(custom_tools=custom_tools))
        except InvalidRequest as error:
            assert error.where
            return
        for item in out["input"]:
            if item["type"] == "message" and item["role"] == "assistant":
                assert {part["type"] for part in item["content"]} <= {"output_text", "refusal"}
                item["content"] = "checked"
        assert not [problem for problem in problems(out, ResponseCreateParamsBase) if not problem.startswith(".stream")]

    check()


@pytest.mark.parametrize(
    ("reader", "bodies", "turns"),
    [(anthropic_request, anthropic_requests, anthropic_turns), (openai_chat_request, chat_requests, chat_turns)],
)
def test_a_longer_conversation_only_adds_to_the_end_of_the_body(reader: Any, bodies: Any, turns: Any) -> None:
    @LIMITS
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        body = data.draw(bodies(foreign=False))
        more = data.draw(turns(st.just(1), foreign=False))
        longer = copy.deepcopy(body)
        longer["messages"].append({"role": "assistant", "content": "wanswerw"})
        longer["messages"] += [message for message in more if message["role"] not in ("system", "developer")]
        profile = Profile(custom_tools=data.draw(st.booleans()))
        one, two = (
            openai_responses_request.write_request(reader.read_request(spelled(each), Losses()), "m", profile, Losses())
            for each in (body, longer)
        )
        assert one.endswith(b"]}")
        assert two.startswith(one[:-2])

    check()


@LIMITS
@given(data=st.data())
def test_a_longer_conversation_of_items_only_adds_to_the_end_of_other_targets_bodies(data: st.DataObject) -> None:
    body = data.draw(requests(foreign=False).filter(lambda body: isinstance(body["input"], list)))
    more = [item for item in data.draw(items(st.just(1), foreign=False)) if item.get("role") not in ("system", "developer")]
    longer = {**body, "input": [*body["input"], {"role": "assistant", "content": "wanswerw"}, *more]}
    try:
        one, two = (
            openai_chat_request.write_request(
                openai_responses_request.read_request(spelled(each), Losses()), "m", Profile(), Losses()
            )
            for each in (body, longer)
        )
    except InvalidRequest:
        return
    assert two.startswith(one[:-2])
