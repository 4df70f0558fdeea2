"""Laws of the Gemini request translation, over generated requests; those of the other dialects: test_request_laws.py."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast.dialects import anthropic_request, gemini_request, openai_chat_request
from anyllm_fast.errors import InvalidRequest
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from tests.gemini_bodies import GEMINI_3, LIMITS, PLAIN, SUBSET, Json, check, gemini_requests, said, translated, turns
from tests.strategies import SPELLINGS, anthropic_requests, anthropic_turns, chat_requests, chat_turns, spelled


@LIMITS
@given(body=gemini_requests(), spelling=SPELLINGS)
def test_a_request_comes_home_as_it_left(body: Json, spelling: tuple[bool, int | None]) -> None:
    losses = Losses()
    written = gemini_request.write_request(gemini_request.read_request(spelled(body, *spelling), losses), "m", PLAIN, losses)
    expected = copy.deepcopy(body)
    if expected.get("generationConfig") == {}:
        del expected["generationConfig"]
    assert json.loads(written) == expected and not losses


@LIMITS
@given(body=gemini_requests(), target=st.sampled_from([anthropic_request, openai_chat_request]))
def test_a_request_is_translated_or_refused_with_its_path(body: Json, target: Any) -> None:
    try:
        translated(gemini_request, target, body)
    except InvalidRequest as error:
        assert error.where


@LIMITS
@given(body=turns(), more=turns(st.just(1)), target=st.sampled_from([anthropic_request, openai_chat_request, gemini_request]))
def test_a_longer_conversation_only_adds_to_the_end_of_the_body(body: list[Json], more: list[Json], target: Any) -> None:
    shorter, longer = (
        target.write_request(gemini_request.read_request(spelled({"contents": contents}), Losses()), "m", PLAIN, Losses())
        for contents in ([*body, said({"text": "end"})], [*body, said({"text": "end"}), said({"text": "a"}, role="model"), *more])
    )
    assert shorter.endswith(b"]}") and longer.startswith(shorter[:-2])


@pytest.mark.parametrize("profile", [PLAIN, GEMINI_3, SUBSET])
@LIMITS
@given(data=st.data())
def test_what_others_ask_is_a_request_of_the_published_types(profile: Profile, data: st.DataObject) -> None:
    source, requests = data.draw(st.sampled_from([(anthropic_request, anthropic_requests), (openai_chat_request, chat_requests)]))
    body = data.draw(requests())
    losses = Losses()
    try:
        written = gemini_request.write_request(source.read_request(spelled(body), losses), "m", profile, losses)
    except InvalidRequest as error:
        assert error.where
        return
    out = json.loads(written)
    check(out)
    roles = [content["role"] for content in out["contents"]]
    assert all(one != other for one, other in pairwise(roles)) and roles[:1] in ([], ["user"])


@LIMITS
@given(data=st.data())
def test_a_longer_conversation_of_another_dialect_only_adds_to_the_end(data: st.DataObject) -> None:
    source, requests, more = data.draw(
        st.sampled_from(
            [(anthropic_request, anthropic_requests, anthropic_turns), (openai_chat_request, chat_requests, chat_turns)]
        )
    )
    body = data.draw(requests(foreign=False))
    longer = copy.deepcopy(body)
    longer["messages"] += [
        {"role": "assistant", "content": "wanswerw"},
        *(m for m in data.draw(more(st.just(1), foreign=False)) if m["role"] not in ("system", "developer")),
    ]
    short, long = (
        gemini_request.write_request(source.read_request(spelled(each), Losses()), "m", PLAIN, Losses())
        for each in (body, longer)
    )
    if body["messages"]:
        assert short.endswith(b"]}") and long.startswith(short[: -len(b"]}")])
