"""Pydantic AI as a judge: a conversation a line on stdin, what its agent made of the answers a line on stdout.

Runs under an interpreter that has pydantic-ai; imports nothing of this project.
"""

import asyncio
import base64
from functools import cache

from anthropic import AsyncAnthropic
from framework_bedrock import client_of
from google.genai import Client, types
from judging import TIMEOUT, describe, judge, shape
from openai import AsyncOpenAI
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.messages import ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta, ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.bedrock import BedrockConverseModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.bedrock import BedrockProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

LOOP = asyncio.new_event_loop()  # clients belong to the loop that they first ran in
BUDGET = {"type": "enabled", "budget_tokens": 2000}
THINKING = {
    "openai": {"openai_reasoning_effort": "medium"},
    "responses": {"openai_reasoning_effort": "medium", "openai_reasoning_summary": "auto"},
    "anthropic": {"anthropic_thinking": BUDGET},
    "gemini": {"google_thinking_config": {"include_thoughts": True, "thinking_budget": 2000}},
    "bedrock": {"bedrock_additional_model_requests_fields": {"thinking": BUDGET}},
}
FORMS = {"native": NativeOutput, "tool": ToolOutput}


def openai(base_url, key):
    client = AsyncOpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT)
    return OpenAIProvider(openai_client=client)


def anthropic(base_url, key):
    client = AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0, timeout=TIMEOUT)
    return AnthropicProvider(anthropic_client=client)


def gemini(base_url, key):
    http = types.HttpOptions(base_url=base_url, timeout=int(TIMEOUT * 1000))
    return GoogleProvider(client=Client(api_key=key, http_options=http, vertexai=False))


def bedrock(base_url, key):
    return BedrockProvider(bedrock_client=client_of(base_url, key, TIMEOUT))


CLIENTS = {
    "openai": (OpenAIChatModel, openai),
    "responses": (OpenAIResponsesModel, openai),
    "anthropic": (AnthropicModel, anthropic),
    "gemini": (GoogleModel, gemini),
    "bedrock": (BedrockConverseModel, bedrock),
}


@cache
def model_of(client, base_url, key, name):
    """The profile says what a program has to say of a model whose name does not tell it."""
    kind, provider = CLIENTS[client]
    return kind(name, provider=provider(base_url, key), profile={"supports_json_schema_output": True})


def agent_of(job, ran):
    form = FORMS[job["form"]](shape()) if job["form"] else str
    agent = Agent(
        model_of(job["client"], job["base_url"], job["key"], job["model"]),
        output_type=form,
        instructions=job["system"] or None,
        model_settings={"max_tokens": job["max_tokens"], **(THINKING[job["client"]] if job["think"] else {})},
    )

    async def get_weather(city: str, days: int = 1) -> str:
        """Weather of a place

        Args:
            city: name, e.g. 北京
        """
        ran.append({"city": city, "days": days})
        return f"21 °C in {city}"

    if job["tools"]:
        agent.tool_plain(get_weather)
    return agent


def question(job, prompt):
    files = [BinaryContent(base64.b64decode(f["data"]), media_type=f["media"]) for f in job["files"]]
    return [prompt, *files] if files else prompt


async def run(agent, asked, history, deltas):
    """The agent's run, by its stream of events where the text is wanted as it comes."""
    if deltas is None:
        return await agent.run(asked, message_history=history)

    async def listen(_, events):
        async for event in events:
            match event:
                case PartStartEvent(part=TextPart(content=text)) if text:
                    deltas.append(text)
                case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                    deltas.append(text)

    return await agent.run(asked, message_history=history, event_stream_handler=listen)


async def converse(job):
    ran, texts, history = [], [], []
    deltas = [] if job["streamed"] else None
    try:
        for at, prompt in enumerate(job["prompts"]):
            asked = prompt if at else question(job, prompt)
            result = await run(agent_of(job, ran), asked, history, deltas)
            history = result.all_messages()
            texts.append(result.output if isinstance(result.output, str) else "")
    except Exception as error:
        return {"error": {**describe(error), "partial": "".join(deltas or ())}}
    parts = [p for message in history if isinstance(message, ModelResponse) for p in message.parts]
    return {
        "texts": texts,
        "deltas": deltas or [],
        "ran": ran,
        "thinking": "".join(p.content for p in parts if isinstance(p, ThinkingPart)),
        "said": "".join(p.content for p in parts if isinstance(p, TextPart)),
        "object": result.output.model_dump() if job["form"] else None,
        "usage": {"input": result.usage.input_tokens, "output": result.usage.output_tokens},
        "stop": history[-1].finish_reason if isinstance(history[-1], ModelResponse) else None,
    }


if __name__ == "__main__":
    judge({"ready": lambda job: {}, "converse": lambda job: LOOP.run_until_complete(converse(job))})
