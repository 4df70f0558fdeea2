"""anyllm_fast/dialects/openai_chat_settings.py: what only some dialects can say of sampling, probabilities and storage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.dialects.openai_chat_request import read_request, write_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.request import Request, Text, Turn
from tests.requests import Json, asked, to_anthropic

EVERYTHING: Json = {
    "seed": -7,
    "presence_penalty": 0.5,
    "frequency_penalty": -0.5,
    "logprobs": True,
    "top_logprobs": 3,
    "verbosity": "low",
    "metadata": {"a": "b"},
    "store": True,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
}
QUIET: Json = {
    "presence_penalty": 0,
    "frequency_penalty": 0.0,
    "logprobs": False,
    "top_logprobs": 0,
    "verbosity": "medium",
    "metadata": {},
    "store": False,
}


def read(**params: Any) -> Request:
    return read_request(json.dumps(asked(**params)).encode(), Losses())


def elsewhere(profile: Profile | None = None, **fields: Any) -> tuple[Json, dict[str, str]]:
    """A request of another dialect with these fields, as it is written here; without what every request has."""
    losses = Losses()
    request = Request(model="m", source="elsewhere", turns=[Turn(role="user", parts=[Text(text=Raw(b'"hi"'))], plain=True)])
    for name, value in fields.items():
        setattr(request, name, value if isinstance(value, bool) and name == "logprobs" else Raw(json.dumps(value).encode()))
    out = json.loads(write_request(request, "m", profile or Profile(), losses))
    return {name: value for name, value in out.items() if name not in ("model", "messages")}, dict(losses)


@pytest.mark.parametrize("params", [EVERYTHING, QUIET])
def test_every_setting_comes_home(params: Json) -> None:
    losses = Losses()
    written = json.loads(write_request(read(**params), "asked-for", Profile(), losses))
    assert {name: written[name] for name in params} == params
    assert not losses


def test_a_setting_is_a_field_and_no_private_member() -> None:
    request = read(**EVERYTHING)
    assert request.private == {} and request.logprobs is True
    assert (request.cache_key, request.cache_retention) == (Raw(b'"k"'), Raw(b'"24h"'))


def test_settings_of_another_dialect_are_written() -> None:
    fields = {name.replace("prompt_", ""): value for name, value in EVERYTHING.items()}
    assert elsewhere(**fields) == (EVERYTHING, {})


def test_settings_that_say_no_more_than_the_defaults_are_not_written() -> None:
    assert elsewhere(**QUIET) == ({"verbosity": "medium"}, {})


def test_a_count_of_alternatives_asks_for_logprobs_too() -> None:
    assert elsewhere(top_logprobs=2)[0] == {"logprobs": True, "top_logprobs": 2}
    assert elsewhere(top_logprobs=2, logprobs=False) == ({}, {})


def test_metadata_goes_only_with_what_is_stored() -> None:
    assert elsewhere(metadata={"a": "b"}) == (
        {},
        {"metadata": "the target takes metadata only of completions that it is to store"},
    )


def test_a_model_that_takes_no_temperature_takes_none_of_its_kin() -> None:
    profile = Profile(samples=False, top_k=True)
    sent, losses = elsewhere(profile, presence_penalty=1, frequency_penalty=1, logprobs=True, top_logprobs=1, top_k=5, seed=1)
    assert sent == {"seed": 1}
    assert set(losses) == {"presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "top_k"}


def test_anthropic_announces_what_it_cannot_say_and_only_that() -> None:
    assert set(to_anthropic(asked(**EVERYTHING))[1]) == set(EVERYTHING)
    assert to_anthropic(asked(**QUIET))[1] == {}


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"seed": "x"}, "seed"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": -1}, "top_logprobs"),
        ({"metadata": []}, "metadata"),
        ({"store": "yes"}, "store"),
        ({"prompt_cache_key": 5}, "prompt_cache_key"),
    ],
)
def test_a_setting_of_a_wrong_type_is_refused_with_its_path(params: Json, where: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(**params)
    assert refused.value.where == where


@pytest.mark.parametrize("number", ["1e400", "-1e999", "1" + "0" * 40])
def test_a_private_number_that_no_double_can_hold_is_not_the_default(number: str) -> None:
    body = json.dumps(asked()).encode()[:-1] + b',"n":%b}' % number.encode()
    losses = Losses()
    assert read_request(body, losses).idle == set()
    assert set(to_anthropic(body)[1]) == {"n"}


def test_a_setting_that_no_double_can_hold_is_refused_with_its_path() -> None:
    body = json.dumps(asked()).encode()[:-1] + b',"presence_penalty":1e400}'
    with pytest.raises(InvalidRequest) as refused:
        read_request(body, Losses())
    assert refused.value.where == "presence_penalty"
