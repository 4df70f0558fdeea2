"""Responses requests: what the reader takes and refuses, what other targets get of them, and what a Responses target gets.

The numbers W57 to W62 are faults that were found in another gateway; each test that bears one says what must not happen again.
"""

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
from anyllm_fast.neutral.request import (
    Foreign,
    Media,
    Refusal,
    Request,
    ServerTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolForm,
    ToolResult,
    Turn,
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

Json = dict[str, Any]
CORPUS = sorted((Path(__file__).parent / "corpus" / "requests").glob("openai_responses-*.json"))
PIXEL = "data:image/png;base64,iVBORw0KGgo="
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
LIMITS = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


def read(*items: Json, **params: Any) -> Request:
    body = {"model": "asked-for", "input": list(items), **params}
    return openai_responses_request.read_request(json.dumps(body).encode(), Losses())


def sent(writer: Any, body: Json, profile: Profile | None = None) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = openai_responses_request.read_request(json.dumps(body).encode(), losses)
    return json.loads(writer.write_request(request, "m", profile or Profile(), losses)), dict(losses)


def to_chat(*items: Json, **params: Any) -> tuple[Json, dict[str, str]]:
    return sent(openai_chat_request, {"model": "m", "input": list(items), **params})


def home(*items: Json, **params: Any) -> Json:
    return sent(openai_responses_request, {"model": "m", "input": list(items), **params})[0]


def written(reader: Any, body: Json, profile: Profile | None = None) -> tuple[Json, dict[str, str]]:
    losses = Losses()
    request = reader.read_request(json.dumps(body).encode(), losses)
    out = openai_responses_request.write_request(request, "m", profile or Profile(), losses)
    return json.loads(out), dict(losses)


def of_anthropic(*messages: Json, profile: Profile | None = None, **params: Any) -> tuple[Json, dict[str, str]]:
    return written(anthropic_request, {"model": "m", "max_tokens": 2000, "messages": list(messages), **params}, profile)


def of_chat(*messages: Json, profile: Profile | None = None, **params: Any) -> tuple[Json, dict[str, str]]:
    return written(openai_chat_request, {"model": "m", "messages": list(messages), **params}, profile)


def user(content: Any = "hi") -> Json:
    return {"role": "user", "content": content}


def call(ident: str = "call_1", name: str = "f", arguments: str = "{}", **members: Any) -> Json:
    return {"type": "function_call", "call_id": ident, "name": name, "arguments": arguments, **members}


def done(output: Any = "done", ident: str = "call_1") -> Json:
    return {"type": "function_call_output", "call_id": ident, "output": output}


def value(raw: Any) -> Any:
    """What raw JSON says."""
    return None if raw is None else json.loads(bytes(raw))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"input": "x"}, "model: required: expected a string"),
        ({"model": "m", "input": 5}, "input: expected a string or an array, got an integer"),
        ({"model": "m", "input": [5]}, "input.0: expected an object, got an integer"),
        ({"model": "m", "input": [{}]}, "input.0.type: required: expected a string"),
        (
            {"model": "m", "input": [{"role": "robot", "content": "x"}]},
            "input.0.role: expected user, assistant, system or developer",
        ),
        ({"model": "m", "input": [{"role": "user"}]}, "input.0.content: required: expected a string or an array"),
        ({"model": "m", "input": [user([{"type": "input_text"}])]}, "input.0.content.0.text: required: expected a string"),
        (
            {"model": "m", "input": [user([{"type": "input_image"}])]},
            "input.0.content.0: required: expected image_url or file_id",
        ),
        ({"model": "m", "input": [{"type": "function_call"}]}, "input.0.call_id: required: expected a string"),
        ({"model": "m", "input": [call(arguments=5)]}, "input.0.arguments: expected a string, got an integer"),  # type: ignore[arg-type]  # that is the point
        ({"model": "m", "input": [{**done(), "call_id": None}]}, "input.0.call_id: required: expected a string"),
        ({"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools.0.name: required: expected a string"),
        ({"model": "m", "input": "x", "tool_choice": "some"}, "tool_choice: expected none, auto, required or an object"),
        ({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.name: required"),
        ({"model": "m", "input": "x", "include": "all"}, "include: expected an array, got a string"),
        ({"model": "m", "input": "x", "max_output_tokens": -1}, "max_output_tokens: must not be negative"),
    ],
)
def test_a_body_that_is_none_is_refused_with_its_path(body: Json, said: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        openai_responses_request.read_request(json.dumps(body).encode(), Losses())
    assert str(error.value).startswith(said)


def test_a_reference_to_an_item_that_openai_holds_is_refused_by_others() -> None:
    with pytest.raises(InvalidRequest, match=r"^input.1: a item_reference part cannot be carried"):
        to_chat(user(), {"type": "item_reference", "id": "msg_1"})


# -- the way home ------------------------------------------------------------------------------------------------------


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


# -- items -------------------------------------------------------------------------------------------------------------


def test_items_of_one_answer_are_one_turn_and_their_results_one_more() -> None:
    request = read(
        user(),
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "think"}]},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a"}],
        },
        call("call_1"),
        call("call_2"),
        done("1", "call_1"),
        done("2", "call_2"),
        user("go"),
    )
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user", "user"]
    assert [type(part) for part in request.turns[1].parts] == [Thinking, Text, ToolCall, ToolCall]
    assert [type(part) for part in request.turns[2].parts] == [ToolResult, ToolResult]


def test_a_string_is_one_question() -> None:
    request = openai_responses_request.read_request(b'{"model":"m","input":"hi"}', Losses())
    [turn] = request.turns
    assert (turn.role, turn.plain, value(turn.parts[0].text)) == ("user", True, "hi")  # type: ignore[union-attr]  # a Text


def test_instructions_are_the_system_prompt_and_developer_messages_stay_where_they_were() -> None:
    out, _ = to_chat({"role": "developer", "content": "dev"}, user(), instructions="first")
    assert [message["content"] for message in out["messages"]] == ["first", "dev", "hi"]


def test_ids_and_states_of_items_are_no_loss_but_a_phase_is() -> None:
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]}
    _, losses = to_chat(user(), {**answer, "id": "msg_1", "status": "completed", "phase": "commentary"}, user())
    assert set(losses) == {"input.1.phase"}


def test_a_refusal_and_annotations_of_an_answer_are_read() -> None:
    content = [
        {"type": "output_text", "text": "a", "annotations": [{"type": "file_path", "file_id": "f", "index": 0}], "logprobs": []},
        {"type": "refusal", "refusal": "no"},
    ]
    turn = read({"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": content}).turns[0]
    assert [type(part) for part in turn.parts] == [Text, Refusal]
    assert set(turn.parts[0].private) == {"annotations"}  # type: ignore[union-attr]  # a Text


@pytest.mark.parametrize(
    ("sealed", "origin", "signature"),
    [
        ("gAAAAB", "openai_responses", "rs_1:gAAAAB"),
        ("anyllm:anthropic:EqQB", "anthropic", "EqQB"),
        ("anyllm:openai_responses:rs_9:gAAAAB", "openai_responses", "rs_9:gAAAAB"),
        ("anyllm:openai_chat:anyllm:reasoning_content", "openai_chat", "anyllm:reasoning_content"),
    ],
)
def test_reasoning_comes_back_to_the_vendor_that_signed_it(sealed: str, origin: str, signature: str) -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    part = read(item).turns[0].parts[0]
    assert isinstance(part, Thinking)
    assert (part.origin, value(part.signature)) == (origin, signature)


def test_texts_of_a_summary_are_joined_with_a_blank_line() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": text} for text in "ab"],
        "content": None,
    }
    part = read(item).turns[0].parts[0]
    assert isinstance(part, Thinking)
    assert (value(part.text), part.signature, part.origin) == ("a\n\nb", None, "")


def test_redacted_reasoning_of_another_vendor_is_redacted_reasoning_again() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "anyllm:anthropic:redacted:UkVE"}
    part = read(item).turns[0].parts[0]
    assert isinstance(part, Thinking)
    assert (part.redacted, part.origin, value(part.text)) == (True, "anthropic", "UkVE")
    out, _ = sent(anthropic_request, {"model": "m", "input": [user(), item, {"role": "assistant", "content": "a"}, user()]})
    assert out["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "UkVE"}


def test_a_custom_call_is_free_text_and_its_tool_has_a_form() -> None:
    request = read(
        user(),
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a "b"\n'},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        tools=[{"type": "custom", "name": "patch"}],
    )
    made = request.turns[1].parts[0]
    assert isinstance(made, ToolCall)
    assert (made.custom, value(made.args)) == (True, 'a "b"\n')
    assert request.forms == {b"patch": ToolForm("custom", b"patch")}


def test_tools_of_a_namespace_are_tools_with_both_names() -> None:
    inside = [{"type": "function", "name": "wait", "parameters": CLOSED}, {"type": "custom", "name": "exec"}]
    request = read(
        call(name="wait", namespace="ns"),
        done(),
        {"type": "custom_tool_call", "call_id": "c2", "name": "exec", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
        tools=[{"type": "namespace", "name": "ns", "description": "About.", "tools": inside}],
    )
    assert [bytes(tool.name) for tool in request.tools or () if not isinstance(tool, ServerTool)] == [
        b'"ns__wait"',
        b'"ns__exec"',
    ]
    assert request.forms == {b"ns__wait": ToolForm("namespaced", b"wait", b"ns"), b"ns__exec": ToolForm("custom", b"exec", b"ns")}
    names = [value(part.name) for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)]
    assert names == ["ns__wait", "ns__exec"], "a call without its namespace is found as well"


def test_tools_in_the_input_join_the_others() -> None:
    tools = [{"type": "namespace", "name": "functions", "description": "", "tools": [{"type": "custom", "name": "exec"}]}]
    body = {"type": "additional_tools", "role": "developer", "tools": tools}
    request = read(body, {"role": "developer", "content": "dev"}, user())
    assert list(request.forms) == [b"functions__exec"]
    out, _ = sent(
        anthropic_request, {"model": "m", "input": [{**body, "tools": []}, {"role": "developer", "content": "dev"}, user()]}
    )
    assert out["system"][0]["text"] == "dev", "what comes behind them is still the head of the conversation"


def test_tools_that_a_search_found_are_sent_outright_and_once() -> None:
    found = {"type": "function", "name": "late", "parameters": CLOSED, "defer_loading": True}
    out, losses = to_chat(
        user(),
        {"type": "tool_search_call", "id": "ts_1", "call_id": "t", "execution": "client", "arguments": {"query": "q"}},
        {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [found, found]},
        {"type": "tool_search_output", "call_id": "t", "execution": "client", "tools": [found]},
        user(),
        tools=[{"type": "tool_search"}, {**found, "name": "deferred"}],
    )
    assert [tool["function"]["name"] for tool in out["tools"]] == ["deferred", "late"]
    assert "tools.0" in losses


@pytest.mark.parametrize(
    ("item", "result", "name", "args", "said", "failed"),
    [
        (
            {
                "type": "local_shell_call",
                "id": "lsh_1",
                "call_id": "c",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"]},
            },
            {"type": "local_shell_call_output", "id": "lsh_1", "output": "a"},
            "local_shell",
            {"type": "exec", "command": ["ls"]},
            "a",
            False,
        ),
        (
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "a\n", "stderr": "b", "outcome": {"type": "exit", "exit_code": 1}}],
            },
            "shell",
            {"commands": ["ls"]},
            "a\n\nb\n[exit code 1]",
            False,
        ),
        (
            {
                "type": "apply_patch_call",
                "call_id": "c",
                "status": "completed",
                "operation": {"type": "delete_file", "path": "a"},
            },
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed"},
            "apply_patch",
            {"type": "delete_file", "path": "a"},
            "failed",
            True,
        ),
    ],
)
def test_built_in_tools_of_the_client_are_calls_that_any_model_can_make(
    item: Json, result: Json, name: str, args: Json, said: str, failed: bool
) -> None:
    request = read(user(), item, result, tools=[{"type": item["type"].removesuffix("_call")}])
    made, answer = request.turns[1].parts[0], request.turns[2].parts[0]
    assert isinstance(made, ToolCall)
    assert isinstance(answer, ToolResult)
    assert (value(made.name), value(made.args), value(made.ident), value(answer.ident)) == (name, args, "c", "c")
    assert (value(answer.parts[0].text), answer.failed) == (said, failed)  # type: ignore[union-attr]  # a Text
    assert [type(tool) for tool in request.tools or ()] == [Tool]
    assert [form.kind for form in request.forms.values()] == [name]


def test_a_shell_in_openais_own_container_is_told_in_words() -> None:
    environment = {"type": "container_reference", "container_id": "c1"}
    out, _ = to_chat(
        user(),
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "environment": environment},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "timeout"}}]},
        user(),
    )
    assert out["messages"][1]["content"] == '\n[shell {"commands": ["ls"]}]\n\n[output of the shell]\na\n[timed out]\n'


def test_media_in_a_tools_result_is_media() -> None:
    content = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PIXEL, "detail": "original"}]
    result = read(user(), call(), done(content)).turns[2].parts[0]
    assert isinstance(result, ToolResult)
    image = result.parts[1]
    assert isinstance(image, Media)
    assert (image.media_type, value(image.data), value(image.detail)) == ("image/png", "iVBORw0KGgo=", "original")


def test_what_other_agents_say_is_said_by_the_user() -> None:
    content = [{"type": "input_text", "text": "Report:"}, {"type": "encrypted_content", "encrypted_content": "all fine"}]
    out, losses = to_chat(user(), {"type": "agent_message", "author": "/a", "recipient": "/b", "content": content})
    assert [part["text"] for part in out["messages"][1]["content"]] == ["[message from /a to /b]", "Report:", "all fine"]
    assert not losses
    content[1]["encrypted_content"] = "gAAAABsecret"
    out, losses = to_chat(user(), {"type": "agent_message", "author": "/a", "recipient": "/b", "content": content})
    assert "secret" not in json.dumps(out)
    assert set(losses) == {"input.1.content.1.encrypted_content"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "web_search_call", "id": "w", "status": "completed", "action": {"type": "search", "query": "q"}}, None),
        (
            {"type": "code_interpreter_call", "id": "c", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]},
            "[code]\n1+1\n[output]\n2",
        ),
        (
            {"type": "file_search_call", "id": "f", "queries": ["q"], "results": [{"filename": "a.md", "text": "t"}]},
            "[file search: q]\na.md\nt",
        ),
        ({"type": "mcp_call", "id": "m", "server_label": "s", "name": "n", "arguments": "{}", "output": "o"}, "[s: n {}]\no"),
        ({"type": "image_generation_call", "id": "i", "status": "completed", "revised_prompt": "a cat"}, "[picture made: a cat]"),
        ({"type": "computer_call", "id": "c", "call_id": "c", "action": {"type": "wait"}}, '[computer: {"type": "wait"}]'),
        ({"type": "program", "id": "p", "call_id": "c", "code": "f()", "fingerprint": "x"}, "[program]\nf()"),
        ({"type": "compaction", "encrypted_content": "anyllm:summary:so far"}, "so far"),
    ],
)
def test_items_of_openais_servers_are_told_in_words(item: Json, said: str | None) -> None:
    request = read(user(), item)
    part = request.turns[1].parts[0]
    assert isinstance(part, Foreign)
    texts = [value(inner.text) for inner in part.parts or () if isinstance(inner, Text)]
    assert texts == ([] if said is None else [said])
    assert not part.unsaid


def test_a_summary_that_only_openai_can_read_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^input.1: a compaction part cannot be carried"):
        to_chat(user(), {"type": "compaction", "encrypted_content": "gAAAAB"})


def test_an_effort_that_is_set_in_the_input_is_the_one_in_force() -> None:
    out, _ = to_chat(user(), {"type": "configuration_update", "reasoning": {"effort": "low"}}, reasoning={"effort": "high"})
    assert out["reasoning_effort"] == "low"


# -- parameters --------------------------------------------------------------------------------------------------------


def test_defaults_and_what_the_gateway_does_anyway_are_no_loss() -> None:
    _, losses = to_chat(
        user(),
        include=["reasoning.encrypted_content"],
        truncation="disabled",
        background=False,
        client_metadata={},
        stream_options={"include_obfuscation": True},
        text={"format": {"type": "text"}},
    )
    assert not losses


def test_what_only_openai_knows_is_announced() -> None:
    _, losses = to_chat(
        user(), truncation="auto", max_tool_calls=3, previous_response_id="resp_1", include=["file_search_call.results"]
    )
    assert set(losses) == {"truncation", "max_tool_calls", "previous_response_id", "include"}


def test_settings_that_others_have_are_fields() -> None:
    request = read(
        user(),
        metadata={"a": "b"},
        store=True,
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        text={"verbosity": "low"},
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        safety_identifier="u",
    )
    assert (value(request.metadata), value(request.store), value(request.cache_key)) == ({"a": "b"}, True, "k")
    assert (value(request.cache_retention), value(request.verbosity), request.logprobs) == ("24h", "low", True)
    assert (value(request.top_logprobs), value(request.user)) == (2, "u")


def test_a_format_is_flat_here_and_nested_in_chat() -> None:
    shape = {"type": "json_schema", "name": "n", "schema": CLOSED, "strict": True}
    out, _ = to_chat(user(), text={"format": shape})
    assert out["response_format"] == {"type": "json_schema", "json_schema": {"name": "n", "schema": CLOSED, "strict": True}}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("required", "required"),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "shell"}, {"type": "function", "function": {"name": "shell"}}),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}],
            },
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
    ],
)
def test_a_tool_choice_is_the_same_in_chat(choice: Any, said: Any) -> None:
    tools = [{"type": "function", "name": "f", "parameters": CLOSED}, {"type": "shell"}]
    out, losses = to_chat(user(), tools=tools, tool_choice=choice)
    assert out["tool_choice"] == said
    assert not losses


def test_a_tool_of_openais_own_cannot_be_forced_elsewhere_which_is_announced() -> None:
    tools = [{"type": "function", "name": "f", "parameters": CLOSED}]
    out, losses = to_chat(user(), tools=tools, tool_choice={"type": "mcp", "server_label": "s"})
    assert out["tool_choice"] == "auto"
    assert set(losses) == {"tool_choice.type", "tool_choice.server_label"}


def test_a_web_search_is_the_others_web_search() -> None:
    tool = {"type": "web_search", "filters": {"allowed_domains": ["a.b"]}, "user_location": {"country": "CH"}}
    out, losses = sent(anthropic_request, {"model": "m", "input": "x", "tools": [tool]})
    assert out["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["a.b"],
            "user_location": {"type": "approximate", "country": "CH"},
        }
    ]
    assert not losses


# -- towards a Responses target ----------------------------------------------------------------------------------------


def test_w57_numbers_leave_as_they_were_written() -> None:
    body = b'{"model":"m","max_tokens":100,"top_p":0.90,"messages":[{"role":"user","content":"x"}]}'
    request = anthropic_request.read_request(body, Losses())
    assert b'"top_p":0.90' in openai_responses_request.write_request(request, "m", Profile(), Losses())


def test_w60_what_a_model_answered_is_sent_as_output_text() -> None:
    out, _ = of_anthropic(user(), {"role": "assistant", "content": "a"}, user())
    assert out["input"][1]["content"] == [{"type": "output_text", "text": "a", "annotations": []}]
    assert out["input"][0]["content"] == [{"type": "input_text", "text": "hi"}]


def test_w62_stop_sequences_are_announced_and_not_sent() -> None:
    out, losses = of_anthropic(user(), stop_sequences=["END"])
    assert "stop" not in out
    assert set(losses) == {"stop_sequences"}


def test_w62_thinking_and_metadata_are_not_dropped() -> None:
    out, losses = of_anthropic(user(), thinking={"type": "adaptive"}, output_config={"effort": "low"}, metadata={"user_id": "u"})
    assert out["reasoning"] == {"effort": "low", "summary": "auto"}
    assert out["user"] == "u"
    assert not losses


def test_w62_a_failed_result_says_so() -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "no such file", "is_error": True}
    out, _ = of_anthropic(user(), use, user([result]))
    assert out["input"][2] == {"type": "function_call_output", "call_id": "t", "output": "Error: no such file"}


def test_reading_a_conversation_of_calls_gives_items_in_their_order() -> None:
    answer = [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
    ]
    results = [{"type": "tool_result", "tool_use_id": ident, "content": ident} for ident in ("t2", "t1")]
    out, _ = of_anthropic(user(), {"role": "assistant", "content": answer}, user([*results, {"type": "text", "text": "go"}]))
    assert [item["type"] for item in out["input"]] == [
        *("message", "message", "function_call", "function_call", "function_call_output", "function_call_output", "message")
    ]
    assert [item["call_id"] for item in out["input"][2:6]] == ["t1", "t2", "t1", "t2"]


def test_replies_are_not_stored_unless_the_client_asks() -> None:
    assert of_chat(user())[0]["store"] is False
    assert "store" not in of_chat(user(), profile=Profile(stored=False))[0]


def test_encrypted_reasoning_is_asked_for_of_models_that_reason() -> None:
    assert of_chat(user())[0]["include"] == ["reasoning.encrypted_content"]
    out, losses = of_chat(user(), reasoning_effort="high", profile=Profile(reasoning_effort=False))
    assert not {"include", "reasoning"}.intersection(out)
    assert set(losses) == {"reasoning_effort"}


def test_a_summary_is_asked_for_only_where_the_client_sees_it() -> None:
    assert of_chat(user(), reasoning_effort="high")[0]["reasoning"] == {"effort": "high"}
    hidden = {"type": "adaptive", "display": "omitted"}
    assert of_anthropic(user(), thinking=hidden)[0]["reasoning"] == {"effort": "high"}
    shown = {"type": "enabled", "budget_tokens": 1024}
    assert of_anthropic(user(), thinking=shown)[0]["reasoning"] == {"effort": "low", "summary": "auto"}
    assert of_anthropic(user(), thinking=shown, profile=Profile(reasoning_summary=False))[0]["reasoning"] == {"effort": "low"}


def test_reasoning_of_the_target_itself_goes_back_before_the_call_it_led_to() -> None:
    blocks = [
        {"type": "thinking", "thinking": "t", "signature": "anyllm:openai_responses:rs_1:gAAAAB"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]
    result = user([{"type": "tool_result", "tool_use_id": "t", "content": "1"}])
    body = {"model": "m", "max_tokens": 100, "messages": [user(), {"role": "assistant", "content": blocks}, result]}
    request = anthropic_request.read_request(json.dumps(body).encode(), Losses())
    thought = request.turns[1].parts[0]
    assert isinstance(thought, Thinking)
    thought.origin, thought.signature = "openai_responses", type(thought.text)(b'"rs_1:gAAAAB"')
    losses = Losses()
    out = json.loads(openai_responses_request.write_request(request, "m", Profile(), losses))
    summary = [{"type": "summary_text", "text": "t"}]
    assert out["input"][1] == {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAAAB"}
    assert [item["type"] for item in out["input"]] == ["message", "reasoning", "function_call", "function_call_output"]
    assert not losses


def test_reasoning_of_another_vendor_is_left_out_and_announced() -> None:
    blocks = [{"type": "thinking", "thinking": "t", "signature": "EqQB"}, {"type": "text", "text": "a"}]
    out, losses = of_anthropic(user(), {"role": "assistant", "content": blocks}, user())
    assert "EqQB" not in json.dumps(out)
    assert set(losses) == {"messages.1.content.0"}


def test_the_system_prompt_is_instructions_and_later_ones_are_developer_messages() -> None:
    out, _ = of_chat(
        {"role": "system", "content": "1"},
        {"role": "developer", "content": "2"},
        user(),
        {"role": "system", "content": "3"},
        user(),
    )
    assert out["instructions"] == "1\n2"
    assert [item["role"] for item in out["input"]] == ["user", "developer", "user"]


def test_where_any_json_is_asked_for_the_prompt_that_says_so_is_in_the_input() -> None:
    """The API refuses json_object unless the input says json, and instructions are no input."""
    out, _ = of_chat({"role": "system", "content": "Answer in JSON"}, user(), response_format={"type": "json_object"})
    assert "instructions" not in out
    assert out["input"][0]["role"] == "developer"
    assert out["text"] == {"format": {"type": "json_object"}}


def test_pictures_and_files_of_a_result_stay_in_the_result() -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}
    content = [
        {"type": "text", "text": "x"},
        {"type": "image", "source": source},
        {"type": "document", "source": pdf, "title": "A"},
    ]
    out, losses = of_anthropic(user(), use, user([{"type": "tool_result", "tool_use_id": "t", "content": content}]))
    assert out["input"][2]["output"] == [
        {"type": "input_text", "text": "x"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_file", "filename": "A.pdf", "file_data": "data:application/pdf;base64,BBBB"},
    ]
    assert not losses


def test_a_document_by_its_url_is_sent_by_its_url() -> None:
    document = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    out, _ = of_anthropic(user([document]))
    assert out["input"][0]["content"] == [{"type": "input_file", "file_url": "https://example.com/a.pdf"}]


def test_sound_is_refused_with_its_path() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    with pytest.raises(InvalidRequest, match=r"^messages.0.content.0: the target takes no audio"):
        of_chat(user([audio]))


def test_a_picture_that_a_model_made_is_shown_to_it_by_the_user() -> None:
    picture = Media(kind="image", data=json_raw("AAAA"), media_type="image/png")
    turns = [Turn(role="user", parts=[Text(text=json_raw("x"))]), Turn(role="assistant", parts=[picture])]
    turns.append(Turn(role="user", parts=[Text(text=json_raw("y"))]))
    out = json.loads(openai_responses_request.write_request(Request(model="m", turns=turns), "m", Profile(), Losses()))
    assert [item["role"] for item in out["input"]] == ["user", "assistant", "user"]
    assert out["input"][2]["content"][1]["image_url"] == "data:image/png;base64,AAAA"


def json_raw(text: str) -> Any:
    from msgspec import Raw

    return Raw(json.dumps(text).encode())


def test_a_function_is_strict_only_if_it_says_so_and_can_be() -> None:
    """The API takes a function without `strict` for a strict one."""
    open_one = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    closed = {"type": "function", "function": {"name": "g", "parameters": CLOSED, "strict": True}}
    bare = {"type": "function", "function": {"name": "h"}}
    out, losses = of_chat(user(), tools=[open_one, closed, bare])
    assert [tool["strict"] for tool in out["tools"]] == [False, True, False]
    assert set(losses) == {"tools.0"}


def test_free_form_tools_go_natively_where_the_host_takes_them() -> None:
    tool = {
        "type": "custom",
        "custom": {"name": "p", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
    }
    answer = {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "p", "input": "text"}}]}
    messages = [user(), answer, {"role": "tool", "tool_call_id": "c", "content": "ok"}]
    out, _ = of_chat(*messages, tools=[tool], profile=Profile(custom_tools=True))
    assert out["tools"] == [{"type": "custom", "name": "p", "format": without_grammar(tool)}]
    assert out["input"][1] == {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "text"}
    assert out["input"][2]["type"] == "custom_tool_call_output"
    out, _ = of_chat(*messages, tools=[tool])
    assert out["tools"][0]["type"] == "function"
    assert json.loads(out["input"][1]["arguments"]) == {"input": "text"}


def without_grammar(tool: Json) -> Json:
    return {"type": "grammar", **tool["custom"]["format"]["grammar"]}


def test_a_forced_web_search_is_forced_by_allowing_nothing_else() -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    out, losses = of_anthropic(user(), tools=tools, tool_choice={"type": "tool", "name": "web_search"})
    assert out["tools"] == [{"type": "web_search"}]
    assert out["tool_choice"] == {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    assert not losses


def test_a_limit_that_the_target_refuses_is_raised_and_announced() -> None:
    out, losses = of_anthropic(user(), max_tokens=1)
    assert out["max_output_tokens"] == 16
    assert set(losses) == {"max_tokens"}


def test_ids_of_calls_fit_and_stay_paired() -> None:
    long = "toolu_" + "x" * 80
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "f", "input": {}}]}
    out, _ = of_anthropic(user(), use, user([{"type": "tool_result", "tool_use_id": long, "content": "1"}]))
    first, second = out["input"][1]["call_id"], out["input"][2]["call_id"]
    assert first == second
    assert len(first) <= 64
