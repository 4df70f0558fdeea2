"""The openai SDK as a judge: a request a line on stdin, what the SDK made of the answer a line on stdout.

Runs under the interpreter of the SDK version being judged; imports nothing of this project.
"""

import asyncio
from functools import cache

import openai
from judging import TIMEOUT, arguments, describe, dump, judge, shape, told
from openai.lib.streaming.chat import ChatCompletionStreamState


def options(job):
    return job["base_url"], job.get("key", "e2e-key"), job.get("retries", 0), job.get("timeout", TIMEOUT)


def make(kind, base_url, key, retries, timeout):
    return kind(base_url=base_url + "/v1", api_key=key, max_retries=retries, timeout=timeout)


@cache
def client_of(*options):
    """One client for all jobs to one place: making one costs more than a call."""
    return make(openai.OpenAI, *options)


def whole(job):
    client = client_of(*options(job))
    raw = client.chat.completions.with_raw_response.create(**arguments(client.chat.completions.create, job))
    return {"final": dump(raw.parse()), "headers": dict(raw.headers)}


def with_usage(job):
    """A caller who wants the counts of a stream asks for them."""
    return {**job, "body": {"stream_options": {"include_usage": True}, **job["body"]}}


def stream(job):
    client = client_of(*options(job))
    state = ChatCompletionStreamState()
    deltas, chunks, headers = [], 0, {}
    chunked = client.chat.completions.create(**arguments(client.chat.completions.create, with_usage(job)), stream=True)
    headers = dict(chunked.response.headers)
    try:
        for chunk in chunked:
            chunks += 1
            for _ in state.handle_chunk(chunk):
                pass
            if chunk.choices and chunk.choices[0].delta.content:
                deltas.append(chunk.choices[0].delta.content)
                told(job, len(deltas))
                if job.get("leave_after") == len(deltas):
                    chunked.close()
                    return {"left": True, "headers": headers}
    except Exception as error:
        return {"error": describe(error), "partial": "".join(deltas), "headers": headers}
    if not chunks:
        return {"error": {"classes": ["EmptyStream"], "status": None, "message": "no chunk came"}, "headers": headers}
    return {"final": dump(state.current_completion_snapshot), "deltas": deltas, "headers": headers}


async def stream_async(job):
    async with make(openai.AsyncOpenAI, *options(job)) as client:
        state = ChatCompletionStreamState()
        chunks = await client.chat.completions.create(**arguments(client.chat.completions.create, with_usage(job)), stream=True)
        async for chunk in chunks:
            for _ in state.handle_chunk(chunk):
                pass
        return {"final": dump(state.current_completion_snapshot), "headers": dict(chunks.response.headers)}


def raw(job):
    """Every chunk as it came, for what an accumulator hides."""
    client = client_of(*options(job))
    chunks = client.chat.completions.create(**arguments(client.chat.completions.create, job), stream=True)
    return {"raw": [dump(c) for c in chunks], "headers": dict(chunks.response.headers)}


def parse(job):
    """A structured answer by the SDK's own helper, which writes the schema."""
    client = client_of(*options(job))
    method = client.chat.completions.parse
    completion = method(**arguments(method, job), response_format=shape())
    return {"final": dump(completion), "parsed": completion.choices[0].message.parsed.model_dump()}


def models(job):
    client = client_of(*options(job))
    return {"final": {"ids": [m.id for m in client.models.list()]}}


MODES = {
    "whole": whole,
    "stream": stream,
    "raw": raw,
    "parse": parse,
    "models": models,
    "async": lambda job: asyncio.run(stream_async(job)),
}

if __name__ == "__main__":
    judge(MODES)
