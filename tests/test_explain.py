"""cli/explain.py: the ledger in a terminal."""

from __future__ import annotations

import pytest

from anyllm_fast.cli.explain import explain, read_lane
from anyllm_fast.errors import ConfigError
from anyllm_fast.neutral.ledger import DIALECTS


def test_every_lane_can_be_explained() -> None:
    for source in DIALECTS:
        for target in DIALECTS:
            text = explain((f"{source}:{target}",))
            assert ("nothing is translated" in text) == (source == target)


def test_without_a_lane_all_are_listed() -> None:
    text = explain(())
    assert all(f"{source}:{target}" in text for source in DIALECTS for target in DIALECTS if source != target)


@pytest.mark.parametrize("path", ["cache_control", "TextBlock.cache_control", "messages.3.content.0.cache_control"])
def test_a_path_picks_its_members(path: str) -> None:
    text = explain(("messages:chat", path))
    assert "TextBlock.cache_control" in text and "temperature" not in text


@pytest.mark.parametrize("lane", ["messages:chat", "anthropic>openai_chat", "Messages->Chat", "messages-to-openai"])
def test_a_lane_is_read_in_any_of_its_spellings(lane: str) -> None:
    assert read_lane(lane) == ("anthropic", "openai_chat")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("chat",), "is no lane"),
        (("mesages:chat",), "did you mean messages"),
        (("chat:messages", "no_such_member"), "no member of OpenAI Chat Completions"),
    ],
)
def test_what_cannot_be_explained_is_one_line(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        explain(words)
    assert "\n" not in str(caught.value)
