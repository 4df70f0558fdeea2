"""anyllm_fast/dialects/media.py: generated pictures and sounds between the two finished dialects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.dialects import anthropic_request, openai_chat_request
from anyllm_fast.dialects.anthropic_reply import write_reply as write_message
from anyllm_fast.dialects.media import image_block, kind_of_sound, media, read_image
from anyllm_fast.dialects.openai_chat_reply import read_reply, write_reply
from anyllm_fast.neutral.dialect import Profile
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import PrivatePart, Reply, TextPart
from tests.replies import OPTIONS
from tests.streams import DONE, blocks, chunk, data_frame, deltas, each_twin, encoder, record, translate

PNG = media(b"image/png", b"iVBORw0KGgo=")
URL = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": URL}, "index": 0}
BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
STOP = chunk(finish_reason="stop") + DONE


def completion(**message: Any) -> bytes:
    said = {"role": "assistant", "content": "here", **message}
    return json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (IMAGE, (PNG, b"")),
        ({"image_url": URL}, (PNG, b"")),
        ({"image_url": {"url": "data:IMAGE/PNG;base64,AA=="}}, (media(b"image/png", b"AA=="), b"")),
        ({"image_url": {"url": "https://a/b.png"}}, (b"", b"https://a/b.png")),
        ({"image_url": {"url": "data:,hello"}}, (b"", b"data:,hello")),
        ({"image_url": {"url": 'data:image/"png;base64,AA=='}}, (b"", b'data:image/\\"png;base64,AA==')),
        ({"image_url": 5}, (b"", b"")),
        ({}, (b"", b"")),
    ],
)
def test_an_entry_of_images_is_a_picture_or_an_address(entry: Any, found: tuple[bytes, bytes]) -> None:
    assert read_image(Raw(json.dumps(entry).encode())) == found


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"x", b'{"media_type":"audio/wav","data":"AA=="}', b'{"media_type":"image/png"}'])
def test_what_is_no_picture_is_no_block(raw: bytes) -> None:
    assert image_block(raw) is None


def test_the_beginning_of_a_sound_tells_of_what_kind_it_is() -> None:
    assert kind_of_sound(b"UklGRgAA") == b"audio/wav"
    assert kind_of_sound(b"AAAA") == b""


@each_twin
def test_a_picture_in_a_stream_reaches_both_clients_and_comes_back(twin: Any) -> None:
    body = chunk({"content": "here"}) + chunk({"images": [IMAGE]}) + chunk({"content": "done"}) + STOP
    found = translate(twin, body, "openai_chat")
    assert [block.get("text") or block for block in blocks(found.out)] == ["here", BLOCK, "done"]
    assert found.losses == ()
    assert record(twin, body, "openai_chat").parts == [TextPart(b"here"), PrivatePart(b"media", PNG), TextPart(b"done")]
    made = encoder(twin, "openai_chat")
    made.private(b"media", PNG)
    made.private(b"media", PNG)
    made.end()
    shown = [entry for delta in deltas(made.take()) for entry in delta.get("images", ())]
    assert shown == [IMAGE, {**IMAGE, "index": 1}]


@each_twin
def test_a_picture_with_an_address_is_the_markdown_of_it(twin: Any) -> None:
    found = translate(twin, chunk({"images": [{"image_url": {"url": "https://a/b.png"}}]}) + STOP, "openai_chat")
    assert [block["text"] for block in blocks(found.out)] == ["![image](https://a/b.png)"]


@each_twin
def test_a_spoken_stream_is_its_words_and_its_samples(twin: Any) -> None:
    body = b"".join(chunk({"audio": part}) for part in ({"id": "a", "transcript": "hel"}, {"transcript": "lo"}, {"data": "AAA="}))
    found = translate(twin, body + STOP, "openai_chat")
    assert [block["text"] for block in blocks(found.out)] == ["hello"]
    assert found.losses == ("media",)
    samples = PrivatePart(b"media", media(b"audio/pcm;rate=24000", b"AAA="))
    assert record(twin, body + STOP, "openai_chat").parts == [TextPart(b"hello"), samples]


@each_twin
@pytest.mark.parametrize("raw", [b"{}", b"[]", b"5", b'{"media_type":"text/plain","data":"AA=="}'])
def test_media_that_no_client_has_a_word_for_is_a_named_loss(twin: Any, raw: bytes) -> None:
    for dialect in ("anthropic", "openai_chat"):
        made = encoder(twin, dialect)
        made.text(b"x")
        made.private(b"media", raw)
        made.end()
        assert made.losses == ["media"]


@each_twin
def test_members_of_a_wrong_type_are_no_media(twin: Any) -> None:
    body = b'{"choices":[{"delta":{"content":"x","images":{"a":1},"audio":[1]}}]}'
    assert record(twin, data_frame(body) + STOP, "openai_chat").parts == [TextPart(b"x")]


def test_whole_replies_carry_pictures_and_sounds() -> None:
    reply = read_reply(completion(images=[IMAGE], audio={"id": "a", "data": "UklGRg==", "transcript": "hi"}), Losses())
    sound = PrivatePart(b"media", media(b"audio/wav", b"UklGRg=="))
    assert reply.parts == [TextPart(b"here"), PrivatePart(b"media", PNG), TextPart(b"hi"), sound]
    message = json.loads(write_reply(reply, OPTIONS, Losses()))["choices"][0]["message"]
    assert message["images"] == [IMAGE] and message["audio"]["data"] == "UklGRg=="
    losses = Losses()
    content = json.loads(write_message(reply, OPTIONS, losses))["content"]
    assert [block.get("text") or block for block in content] == ["here", BLOCK, "hi"]
    assert {path for path, _ in losses} == {"media"}


def test_raw_samples_of_a_whole_reply_are_a_loss_by_the_name_of_their_member() -> None:
    reply = read_reply(completion(audio={"id": "a", "data": "AAAA", "transcript": "hi"}), Losses())
    assert [part.name for part in reply.parts if isinstance(part, PrivatePart)] == [b"audio"]
    losses = Losses()
    write_message(Reply(parts=reply.parts), OPTIONS, losses)
    assert {path for path, _ in losses} == {"audio"}


def test_a_picture_that_an_anthropic_client_gives_back_is_shown_to_the_next_model() -> None:
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            {"role": "user", "content": "draw"},
            {"role": "assistant", "content": [{"type": "text", "text": "here"}, BLOCK]},
            {"role": "user", "content": "bigger"},
        ],
    }
    request = anthropic_request.read_request(json.dumps(body).encode(), Losses())
    sent = json.loads(openai_chat_request.write_request(request, "m", Profile(), Losses()))["messages"]
    assert sent[1]["content"] == "here\n[image 1 of this answer is in the next user message]"
    assert [part.get("text", part["type"]) for part in sent[2]["content"]] == [
        "[image 1 of the answer before]",
        "image_url",
        "bigger",
    ]
