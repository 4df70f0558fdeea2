"""bedrock_media.py: images, documents, videos and sounds, in and out."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.bedrock_judge import CLAUDE, carried, from_anthropic, from_chat, said, to_anthropic, to_chat, where_refused
from tests.requests import asked, assistant, result, talked, tool, use, user

Json = dict[str, Any]


def document(source: Json, **members: Any) -> Json:
    return {"type": "document", "source": source, **members}


def pdf(**members: Any) -> Json:
    return document({"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, **members)


def documents(out: Json) -> list[Json]:
    return [block["document"] for message in out["messages"] for block in message["content"] if "document" in block]


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "webp"])
def test_images_of_every_format_pass_both_ways(form: str) -> None:
    source = {"type": "base64", "media_type": f"image/{form}", "data": "AAAA"}
    out, losses = from_anthropic(asked([{"type": "image", "source": source}]))
    assert out["messages"][0]["content"] == [{"image": {"format": form, "source": {"bytes": "AAAA"}}}]
    assert losses == {}
    back, losses = to_anthropic(said({"image": {"format": form, "source": {"bytes": "AAAA"}}}))
    assert back["messages"][0]["content"][0]["source"] == source
    assert losses == {}


def test_what_the_target_cannot_fetch_is_refused_with_its_path() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}
    held = document({"type": "file", "file_id": "f"})
    for part in (image, held):
        assert where_refused("anthropic", "bedrock", asked([part])) == "messages.0.content.0"


def test_the_address_of_a_document_that_the_target_cannot_fetch_is_told() -> None:
    out, losses = from_anthropic(asked([document({"type": "url", "url": "https://a/b.pdf"})]))
    assert out["messages"][0]["content"] == [{"text": "[document: https://a/b.pdf]"}]
    assert list(losses) == ["messages.0.content.0"]


def test_a_guarded_picture_in_the_system_prompt_is_shown_by_the_user() -> None:
    picture = {"guardContent": {"image": {"format": "png", "source": {"bytes": "AAAA"}}}}
    body = {**said({"text": "what is it?"}), "system": [{"text": "look"}, picture, {"text": "well"}]}
    out, losses = to_anthropic(body)
    assert [block["text"] for block in out["system"]] == ["look", "well"]
    assert [block["type"] for block in out["messages"][0]["content"]] == ["image", "text"]
    assert list(losses) == ["system.1.guardContent"]


def test_places_in_s3_pass_natively() -> None:
    image = {"type": "image_url", "image_url": {"url": "s3://bucket/b.jpg"}}
    out, _ = from_chat(asked([image]))
    assert out["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/b.jpg"}}}}
    ]


def test_document_names_fit_and_differ() -> None:
    """Letters, digits, single spaces, hyphens, parentheses, brackets; duplicates are a 400 of the service."""
    titles = ["John's  report.pdf", "a", "a", None, "x" * 300, "分期报告.pdf"]
    out, losses = from_anthropic(asked([pdf(**({} if title is None else {"title": title})) for title in titles]))
    names = [each["name"] for each in documents(out)]
    assert names == ["John s report", "a", "a 2", "document", "x" * 200, "document 2"]
    assert set(losses) == {"messages.0.content.0", "messages.0.content.4", "messages.0.content.5"}


def test_a_document_never_comes_without_a_text() -> None:
    out, _ = from_anthropic(asked([pdf()]))
    assert out["messages"][0]["content"][-1] == {"text": "."}


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("application/pdf", "pdf"),
        ("text/csv", "csv"),
        ("text/markdown", "md"),
        ("application/json", "txt"),
        ("text/x-python", "txt"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ],
)
def test_a_file_gets_the_format_of_its_type(media_type: str, form: str) -> None:
    file = {"type": "file", "file": {"file_data": f"data:{media_type};base64,AAAA", "filename": "f"}}
    out, _ = from_chat(asked([file]))
    assert documents(out) == [{"name": "f", "format": form, "source": {"bytes": "AAAA"}}]


def test_plain_text_is_a_txt_file() -> None:
    out, losses = from_anthropic(asked([document({"type": "text", "media_type": "text/plain", "data": "grün"}, title="t")]))
    assert documents(out)[0]["format"] == "txt"
    assert base64.b64decode(documents(out)[0]["source"]["bytes"]).decode() == "grün"
    assert losses == {}


def test_context_and_citations_are_claudes() -> None:
    body = asked([pdf(title="t", context="about", citations={"enabled": True})])
    out, losses = from_anthropic(body, CLAUDE)
    said_to_claude = {"name": "t", "context": "about", "citations": {"enabled": True}}
    assert documents(out) == [{**said_to_claude, "format": "pdf", "source": {"bytes": "AAAA"}}]
    assert losses == {}
    out, losses = from_anthropic(body)
    assert out["messages"][0]["content"][0] == {"text": "about"}
    assert list(losses) == ["messages.0.content.0.citations"]


def test_a_document_of_blocks_keeps_every_text_and_picture() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    texts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    out, _ = from_anthropic(asked([document({"type": "content", "content": texts})]), CLAUDE)
    assert documents(out)[0]["source"] == {"content": [{"text": "one"}, {"text": "two"}]}
    out, _ = from_anthropic(asked([document({"type": "content", "content": texts})]))
    assert base64.b64decode(documents(out)[0]["source"]["bytes"]) == b"one\ntwo"
    out, _ = from_anthropic(asked([document({"type": "content", "content": [*texts, picture]}, title="t")]))
    assert [next(iter(block)) for block in out["messages"][0]["content"]] == ["text", "text", "text", "image"]


def test_documents_in_tool_results_share_the_names() -> None:
    body = talked(user([pdf(title="a")]), assistant([use("c")]), user([result("c", [pdf(title="a")])]), tools=[tool()])
    out, _ = from_anthropic(body)
    inner = out["messages"][2]["content"][0]["toolResult"]["content"][0]["document"]
    assert (documents(out)[0]["name"], inner["name"]) == ("a", "a 2")


def test_sounds_pass_both_ways() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    out, losses = from_chat(asked([sound]))
    assert out["messages"][0]["content"] == [{"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}]
    back, _ = to_chat(out)
    assert back["messages"][0]["content"] == [sound]
    assert losses == {}


def test_a_file_without_a_format_is_what_it_begins_like() -> None:
    data = base64.b64encode(b"%PDF-1.7").decode()
    out, _ = to_anthropic(said({"document": {"name": "n", "source": {"bytes": data}}}))
    assert out["messages"][0]["content"][0]["source"]["media_type"] == "application/pdf"
    text = base64.b64encode(b"words").decode()
    out, _ = to_anthropic(said({"document": {"name": "n", "source": {"bytes": text}}}))
    assert out["messages"][0]["content"][0]["source"]["data"] == "words"


def test_guarded_and_cited_words_and_search_results_reach_others_as_text() -> None:
    body = said(
        {"guardContent": {"text": {"text": "guarded", "qualifiers": ["query"]}}},
        {"searchResult": {"source": "http://a", "title": "T", "content": [{"text": "found"}], "citations": {"enabled": True}}},
    )
    out, losses = to_chat(body)
    text = str(out["messages"][0]["content"])
    assert all(word in text for word in ("guarded", "http://a", "T", "found"))
    assert set(losses) == {"messages.0.content.0.guardContent", "messages.0.content.1.searchResult.citations"}


def test_tools_that_come_and_go_are_said_in_words() -> None:
    body = {
        "messages": [
            {"role": "user", "content": [{"text": "a"}]},
            {"role": "system", "content": [{"toolRemoval": {"tool": {"name": "f", "serverName": "s"}}}]},
            {"role": "user", "content": [{"text": "b"}]},
        ]
    }
    out, losses = to_chat(body)
    assert "s: f may no longer be used" in str(out["messages"])
    assert list(losses) == ["messages.1.content.0.toolRemoval"]
    assert carried("bedrock", "bedrock", body)[0] == body


@pytest.mark.parametrize(
    ("block", "where"),
    [
        ({"image": {"format": "png"}}, "messages.0.content.0.image.source"),
        ({"image": {"format": "png", "source": {"url": "x"}}}, "messages.0.content.0.image.source"),
        ({"toolUse": {"name": "f", "input": {}}}, "messages.0.content.0.toolUse.toolUseId"),
        ({"toolUse": {"toolUseId": "c", "name": "f", "input": [1]}}, "messages.0.content.0.toolUse.input"),
        ({"text": 1}, "messages.0.content.0.text"),
        ({"cachePoint": "default"}, "messages.0.content.0.cachePoint"),
    ],
)
def test_what_no_client_may_send_is_refused_with_its_path(block: Json, where: str) -> None:
    assert where_refused("bedrock", "anthropic", said(block)) == where
