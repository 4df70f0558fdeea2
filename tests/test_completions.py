"""dialects/completions.py: the legacy endpoint as Chat in other clothes, alone and through the gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion

from anyllm_fast.dialects import completions
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.losses import Losses
from tests.asgi import ANTHROPIC, OPENAI, ask, open_app
from tests.test_gateway import CHAT_REPLY, CHAT_STREAM, MESSAGE_REPLY, SSE, good

ASKED = {"model": "gpt-4o", "prompt": "Once", "max_tokens": 50}


def read(**members: Any) -> tuple[dict[str, Any], dict[str, str]]:
    losses = Losses()
    return json.loads(completions.read_request(json.dumps({**ASKED, **members}).encode(), losses)), dict(losses)


def test_a_prompt_becomes_a_user_message() -> None:
    out, lost = read(temperature=0.5, stop=["\n"], stream=True)
    assert out == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Once"}],
        "max_tokens": 50,
        "temperature": 0.5,
        "stop": ["\n"],
        "stream": True,
    }
    assert lost == {}


def test_without_a_limit_the_endpoints_own_default_counts() -> None:
    assert json.loads(completions.read_request(b'{"model":"m","prompt":["a"]}', Losses()))["max_tokens"] == 16


def test_what_chat_has_no_word_for_is_announced() -> None:
    assert set(read(suffix="end", echo=True, logprobs=2)[1]) == {"suffix", "echo", "logprobs"}
    assert read(suffix="", echo=False, logprobs=None, best_of=1)[1] == {}


@pytest.mark.parametrize(
    ("members", "where"), [({"prompt": ["a", "b"]}, "prompt"), ({"prompt": [[1, 2]]}, "prompt"), ({"best_of": 3}, "best_of")]
)
def test_what_cannot_be_asked_is_refused_with_its_path(members: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**members)
    assert caught.value.where == where


@pytest.mark.parametrize(("backend", "reply"), [(OPENAI, CHAT_REPLY), (ANTHROPIC, MESSAGE_REPLY)], ids=["openai", "anthropic"])
async def test_a_whole_reply_is_a_text_completion(backend: Any, reply: bytes) -> None:
    app, network = open_app(backend, good(reply))
    answer = await ask(app, "POST", "/v1/completions", ASKED | {"suffix": "x"})
    made = Completion.model_validate(answer.json())
    assert made.object == "text_completion" and made.choices[0].text == "Hello" and made.choices[0].finish_reason == "stop"
    assert made.usage is not None and made.usage.prompt_tokens == 10
    assert answer.headers["x-anyllm-degradation"] == "suffix"
    assert "messages" in json.loads(network.requests[0].body)


async def test_a_stream_is_one_of_text_completions() -> None:
    app, _ = open_app(OPENAI, good(*CHAT_STREAM, headers=SSE))
    answer = await ask(app, "POST", "/v1/completions", ASKED | {"stream": True})
    frames = answer.body.decode().split("\n\n")[:-1]
    assert frames[-1] == "data: [DONE]"
    chunks = [Completion.construct(**json.loads(frame.removeprefix("data: "))) for frame in frames[:-1]]
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "Hello"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"


async def test_an_error_is_openais() -> None:
    app, _ = open_app(OPENAI)
    answer = await ask(app, "POST", "/v1/completions", {"model": "m"})
    assert answer.status == 400 and answer.json()["error"]["param"] == "prompt"
