"""The anthropic SDK as a judge: a request a line on stdin, what the SDK made of the answer a line on stdout.

Runs under the interpreter of the SDK version being judged; imports nothing of this project.
"""

import asyncio
from functools import cache

import anthropic
from judging import TIMEOUT, arguments, describe, dump, judge, shape, told


def options(job):
    return job["base_url"], job.get("key", "e2e-key"), job.get("retries", 0), job.get("timeout", TIMEOUT)


def make(kind, base_url, key, retries, timeout):
    return kind(base_url=base_url, api_key=key, max_retries=retries, timeout=timeout)


@cache
def client_of(*options):
    """One client for all jobs to one place: making one costs more than a call."""
    return make(anthropic.Anthropic, *options)


def whole(job):
    client = client_of(*options(job))
    raw = client.messages.with_raw_response.create(**arguments(client.messages.create, job))
    return {"final": dump(raw.parse()), "headers": dict(raw.headers)}


def stream(job):
    client = client_of(*options(job))
    kinds, deltas, last = [], [], None
    with client.messages.stream(**arguments(client.messages.stream, job)) as events:
        headers = dict(events.response.headers)
        try:
            for event in events:
                kinds.append(event.type)
                if event.type == "text":
                    deltas.append(event.text)
                    told(job, len(deltas))
                    if job.get("leave_after") == len(deltas):
                        return {"left": True, "headers": headers}
            last = events.get_final_message()
        except Exception as error:
            return {"error": describe(error), "partial": "".join(deltas), "headers": headers}
    return {"final": dump(last), "events": kinds, "deltas": deltas, "headers": headers}


async def stream_async(job):
    client = make(anthropic.AsyncAnthropic, *options(job))
    async with client, client.messages.stream(**arguments(client.messages.stream, job)) as events:
        final = await events.get_final_message()
        return {"final": dump(final), "headers": dict(events.response.headers)}


def raw(job):
    """Every event as it came, for what an accumulator hides."""
    client = client_of(*options(job))
    events = client.messages.create(**arguments(client.messages.create, job), stream=True)
    return {"raw": [dump(e) for e in events], "headers": dict(events.response.headers)}


def parse(job):
    """A structured answer by the SDK's own helper, which writes the schema."""
    client = client_of(*options(job))
    message = client.messages.parse(**arguments(client.messages.parse, job), output_format=shape())
    return {"final": dump(message), "parsed": message.parsed_output.model_dump()}


def count(job):
    client = client_of(*options(job))
    return {"final": dump(client.messages.count_tokens(**arguments(client.messages.count_tokens, job)))}


def models(job):
    client = client_of(*options(job))
    return {"final": {"ids": [m.id for m in client.models.list()]}}


MODES = {
    "whole": whole,
    "stream": stream,
    "raw": raw,
    "parse": parse,
    "count": count,
    "models": models,
    "async": lambda job: asyncio.run(stream_async(job)),
}

if __name__ == "__main__":
    judge(MODES)
