"""anyllm_fast/dialects/bedrock_request.py and its parts: Converse requests in and out, with botocore as the judge."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from anyllm_fast.neutral.dialect import Profile
from tests.bedrock_judge import (
    CLAUDE,
    NOVA,
    carried,
    from_anthropic,
    from_chat,
    read_converse,
    said,
    sent,
    to_anthropic,
)
from tests.requests import asked, assistant, result, talked, tool, use, user

Json = dict[str, Any]
CORPUS = Path(__file__).parent / "corpus" / "requests"
# -- what boto3 sends --------------------------------------------------------------------------------------------------

SCHEMA_TEXT = '{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}'
SENT: dict[str, Json] = {
    "minimal": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
    "params": {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "system": [{"text": "be brief"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.5, "stopSequences": ["END"]},
        "additionalModelRequestFields": {
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "top_k": 5,
            "future": {"a": [1]},
        },
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "requestMetadata": {"team": "a"},
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "flex"},
        "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "1", "trace": "enabled"},
        "outputConfig": {
            "effort": "high",
            "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": SCHEMA_TEXT, "name": "n"}}},
        },
    },
    "tools": {
        "messages": [
            {"role": "user", "content": [{"text": "weather?"}, {"cachePoint": {"type": "default"}}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "SIG"}}},
                    {"reasoningContent": {"redactedContent": b"secret"}},
                    {"text": "I look."},
                    {"toolUse": {"toolUseId": "tooluse_1", "name": "look", "input": {"b": 1, "a": [None, 1.5]}}},
                    {"toolUse": {"toolUseId": "tooluse_2", "name": "look", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "tooluse_1", "content": [{"json": {"z": 1, "a": 2}}]}},
                    {
                        "toolResult": {
                            "toolUseId": "tooluse_2",
                            "content": [{"text": "no"}, {"image": {"format": "png", "source": {"bytes": b"png"}}}],
                            "status": "error",
                        }
                    },
                ],
            },
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look",
                        "description": "looks",
                        "inputSchema": {"json": {"type": "object"}},
                        "strict": True,
                    }
                },
                {"cachePoint": {"type": "default"}},
                {"systemTool": {"name": "nova_grounding"}},
            ],
            "toolChoice": {"tool": {"name": "look"}},
        },
    },
    "media": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"image": {"format": "webp", "source": {"bytes": b"webp"}}},
                    {
                        "image": {
                            "format": "png",
                            "source": {"s3Location": {"uri": "s3://a-bucket/b.png", "bucketOwner": "123456789012"}},
                        }
                    },
                    {"document": {"format": "pdf", "name": "one", "source": {"bytes": b"%PDF-"}, "citations": {"enabled": True}}},
                    {"document": {"name": "two", "source": {"content": [{"text": "a"}, {"text": "b"}]}, "context": "c"}},
                    {"document": {"format": "md", "name": "three", "source": {"text": "# t"}}},
                    {"video": {"format": "three_gp", "source": {"bytes": b"3gp"}}},
                    {"audio": {"format": "mpga", "source": {"bytes": b"mp3"}}},
                    {"guardContent": {"text": {"text": "guarded", "qualifiers": ["query"]}}},
                    {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}], "citations": {"enabled": True}}},
                ],
            }
        ],
    },
    "served": {
        "messages": [
            {"role": "user", "content": [{"text": "search"}]},
            {
                "role": "assistant",
                "content": [
                    {"toolUse": {"toolUseId": "t1", "name": "nova_grounding", "input": {"q": 1}, "type": "server_tool_use"}},
                    {"toolResult": {"toolUseId": "t1", "content": [{"text": "found"}], "type": "nova_grounding_result"}},
                    {
                        "citationsContent": {
                            "content": [{"text": "cited"}],
                            "citations": [{"title": "T", "location": {"web": {"url": "http://a/", "domain": "a"}}}],
                        }
                    },
                ],
            },
            {"role": "system", "content": [{"toolAddition": {"tool": {"name": "look"}}}, {"text": "now with tools"}]},
            {"role": "user", "content": [{"text": "go on"}]},
        ],
    },
    "prompt": {"promptVariables": {"name": {"text": "value"}}},
}


@pytest.mark.parametrize("name", SENT)
def test_what_boto3_sends_is_in_the_corpus_and_comes_home_as_it_left(name: str) -> None:
    body = sent(**SENT[name])
    path = CORPUS / f"bedrock-{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(body + b"\n")
    assert json.loads(path.read_bytes()) == json.loads(body)
    out, losses = carried("bedrock", "bedrock", body)
    assert out == json.loads(body)
    assert losses == {}


ANY_SOURCE = pytest.mark.parametrize("source", ["anthropic", "openai_chat"])

# -- caches ------------------------------------------------------------------------------------------------------------

EPHEMERAL = {"type": "ephemeral"}


@ANY_SOURCE
def test_cache_control_of_a_message_becomes_a_cache_point(source: str) -> None:
    """The example of LiteLLM's own architecture page, in both dialects that have the member."""
    body = asked([{"type": "text", "text": "test", "cache_control": EPHEMERAL}])
    out, losses = carried(source, "bedrock", body, CLAUDE)
    assert out["messages"] == [{"role": "user", "content": [{"text": "test"}, {"cachePoint": {"type": "default"}}]}]
    assert "cachePoint" in str(out)
    assert losses == {}


def test_marks_on_system_tools_calls_and_results_become_points_behind_them() -> None:
    body = talked(
        user("q"),
        assistant([use("c1")]),
        user([result("c1", [{"type": "text", "text": "r", "cache_control": EPHEMERAL}])]),
        system=[{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        tools=[tool(cache_control=EPHEMERAL)],
    )
    out, losses = from_anthropic(body, CLAUDE)
    assert [next(iter(block)) for block in out["system"]] == ["text", "cachePoint"]
    assert [next(iter(block)) for block in out["toolConfig"]["tools"]] == ["toolSpec", "cachePoint"]
    assert [next(iter(block)) for block in out["messages"][2]["content"]] == ["toolResult", "cachePoint"]
    assert out["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": "r"}]
    assert losses == {}


def test_a_point_is_never_inside_a_tool_result_nor_behind_one_for_models_that_refuse_it() -> None:
    body = talked(user("q"), assistant([use("c1")]), user([result("c1", "r", cache_control=EPHEMERAL)]), tools=[tool()])
    out, losses = from_anthropic(body, NOVA)
    assert "cachePoint" not in json.dumps(out)
    assert list(losses) == ["messages.2.content.0.cache_control"]


def test_a_lifetime_is_said_to_models_that_know_one_and_the_earlier_point_lives_as_long_as_the_later() -> None:
    one, long = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}
    blocks = [{"type": "text", "text": text, "cache_control": mark} for text, mark in (("a", one), ("b", long))]
    out, losses = from_anthropic(asked(blocks), CLAUDE)
    points = [block["cachePoint"] for block in out["messages"][0]["content"] if "cachePoint" in block]
    assert points == [{"type": "default", "ttl": "1h"}] * 2
    assert losses == {}
    out, losses = from_anthropic(asked(blocks), NOVA)
    assert "ttl" not in json.dumps(out)
    assert list(losses) == ["messages.0.content.1.cache_control.ttl"]


def test_of_more_than_four_points_the_last_stay_and_the_others_are_announced() -> None:
    blocks = [{"type": "text", "text": f"{at}", "cache_control": EPHEMERAL} for at in range(6)]
    out, losses = from_anthropic(asked(blocks), CLAUDE)
    kinds = [next(iter(block)) for block in out["messages"][0]["content"]]
    assert kinds == ["text", "text", *["text", "cachePoint"] * 4]
    assert list(losses) == ["messages.0.content.0.cache_control", "messages.0.content.1.cache_control"]


def test_automatic_caching_is_a_point_at_the_end_of_the_prompt() -> None:
    out, losses = from_anthropic(asked("hi", cache_control=EPHEMERAL), CLAUDE)
    assert out["messages"][0]["content"][-1] == {"cachePoint": {"type": "default"}}
    assert losses == {}


def test_a_mark_is_announced_where_the_model_takes_no_points() -> None:
    out, losses = from_anthropic(asked([{"type": "text", "text": "a", "cache_control": EPHEMERAL}]))
    assert out["messages"] == [{"role": "user", "content": [{"text": "a"}]}]
    assert list(losses) == ["messages.0.content.0.cache_control"]


def test_points_reach_anthropic_as_cache_control() -> None:
    body = said({"text": "a"}, {"cachePoint": {"type": "default", "ttl": "1h"}}) | {
        "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}]
    }
    out, losses = to_anthropic(body)
    assert out["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert out["system"][0]["cache_control"]["type"] == "ephemeral"
    assert losses == {}


# -- what the path says ------------------------------------------------------------------------------------------------


@ANY_SOURCE
def test_neither_model_nor_stream_is_in_the_body(source: str) -> None:
    """The reference left both in (its W77 and W141), which the service refuses."""
    out, _ = carried(source, "bedrock", asked("hi", stream=True))
    assert not {"model", "stream", "modelId", "anthropic_version"} & out.keys()


def test_a_request_read_here_has_neither_model_nor_stream() -> None:
    request = read_converse(said({"text": "hi"}))
    assert (request.model, request.stream, request.source) == ("", False, "bedrock")


# -- conversations -----------------------------------------------------------------------------------------------------


def test_roles_alternate_a_user_begins_and_calls_stand_behind_the_text() -> None:
    body = talked(
        assistant("I am first"),
        user("a"),
        user("b"),
        assistant([use("c1"), {"type": "text", "text": "while calling"}]),
        user([result("c1"), {"type": "text", "text": "and more"}]),
    )
    out, _ = from_anthropic(body)
    assert [message["role"] for message in out["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert out["messages"][0]["content"] == [{"text": "."}]
    assert out["messages"][2]["content"] == [{"text": "a"}, {"text": "b"}]
    assert [next(iter(block)) for block in out["messages"][3]["content"]] == ["text", "toolUse"]
    assert [next(iter(block)) for block in out["messages"][4]["content"]] == ["toolResult", "text"]


def test_blank_texts_are_left_out_and_the_last_answer_loses_its_white_space() -> None:
    body = talked(user([{"type": "text", "text": " "}, {"type": "text", "text": "a"}]), assistant("begun \n"))
    out, _ = from_chat(body)
    assert out["messages"] == [
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "assistant", "content": [{"text": "begun"}]},
    ]


def test_a_system_turn_in_the_middle_is_the_users_text_or_one_of_its_own() -> None:
    body = talked({"role": "system", "content": "s"}, user("a"), {"role": "system", "content": "now"}, assistant("b"), user("c"))
    out, _ = from_chat(body)
    assert out["system"] == [{"text": "s"}]
    assert out["messages"][0]["content"] == [{"text": "a"}, {"text": "<system>\nnow\n</system>"}]
    out, _ = from_chat(body, Profile(system_turns=True))
    assert out["messages"][1] == {"role": "system", "content": [{"text": "now"}]}


def test_a_system_prompt_goes_before_the_users_words_where_the_model_takes_none() -> None:
    out, _ = from_anthropic(asked("hi", system="s"), Profile(system_prompts=False))
    assert out == {
        "inferenceConfig": {"maxTokens": 2000},
        "messages": [{"role": "user", "content": [{"text": "s"}, {"text": "hi"}]}],
    }


def test_claude_codes_billing_line_stays_behind() -> None:
    system = [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1\nYou are"}]
    out, _ = from_anthropic(asked("hi", system=system))
    assert out["system"] == [{"text": "You are"}]


def test_a_picture_in_an_answer_follows_in_the_next_user_message() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    out, _ = from_anthropic(talked(user("a"), assistant([picture, {"type": "text", "text": "see"}]), user("b")))
    assert [next(iter(block)) for block in out["messages"][1]["content"]] == ["text"]
    assert [next(iter(block)) for block in out["messages"][2]["content"]] == ["text", "image", "text"]


def test_a_request_of_nothing_that_can_be_said_still_has_a_message() -> None:
    out, _ = from_anthropic(asked(" "))
    assert out["messages"] == [{"role": "user", "content": [{"text": "."}]}]
