"""LangChain as a judge: a conversation a line on stdin, what its agent made of the answers a line on stdout.

Runs under an interpreter that has langchain and its packages for the vendors; imports nothing of this project.
"""

import os
from functools import cache

os.environ["LANGSMITH_TRACING"] = "false"

from framework_bedrock import client_of
from judging import TIMEOUT, describe, judge, shape
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI

BUDGET = {"type": "enabled", "budget_tokens": 2000}
SEALED = {"store": False, "include": ["reasoning.encrypted_content"]}
THINKING = {
    "openai": {"reasoning_effort": "medium"},
    "responses": {"reasoning": {"effort": "medium", "summary": "auto"}, **SEALED},
    "anthropic": {"thinking": BUDGET},
    "gemini": {"thinking_budget": 2000, "include_thoughts": True},
    "bedrock": {"additional_model_request_fields": {"thinking": BUDGET}},
}
FORMS = {"native": "json_schema", "tool": "function_calling"}


def openai(job, **more):
    base_url, bound = f"{job['base_url']}/v1", job["max_tokens"]
    common = {"api_key": job["key"], "max_retries": 0, "timeout": TIMEOUT, "stream_usage": True}
    return ChatOpenAI(model=job["model"], base_url=base_url, max_tokens=bound, **common, **more)


def responses(job, **more):
    return openai(job, use_responses_api=True, output_version="responses/v1", **more)


def anthropic(job, **more):
    common = {"api_key": job["key"], "max_retries": 0, "default_request_timeout": TIMEOUT}
    return ChatAnthropic(model=job["model"], base_url=job["base_url"], max_tokens=job["max_tokens"], **common, **more)


def gemini(job, **more):
    common = {"google_api_key": job["key"], "max_retries": 1, "timeout": TIMEOUT, "vertexai": False}
    bound = job["max_tokens"]
    return ChatGoogleGenerativeAI(model=job["model"], base_url=job["base_url"], max_output_tokens=bound, **common, **more)


aws = cache(client_of)


def bedrock(job, **more):
    client = aws(job["base_url"], job["key"], TIMEOUT)
    common = {"client": client, "bedrock_client": client, "provider": "anthropic", "disable_streaming": False}
    return ChatBedrockConverse(model=job["model"], max_tokens=job["max_tokens"], region_name="us-east-1", **common, **more)


CLIENTS = {"openai": openai, "responses": responses, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock}


def agent_of(job, ran):
    @tool(parse_docstring=True)
    def get_weather(city: str, days: int = 1) -> str:
        """Weather of a place

        Args:
            city: name, e.g. 北京
            days: how many
        """
        ran.append({"city": city, "days": days})
        return f"21 °C in {city}"

    model = CLIENTS[job["client"]](job, **(THINKING[job["client"]] if job["think"] else {}))
    tools = [get_weather] if job["tools"] else []
    return create_agent(model, tools, system_prompt=job["system"] or None)


def structured(job):
    """A structured answer without an agent, as most programs ask for one; of a stream the last, which is whole."""
    asking = CLIENTS[job["client"]](job).with_structured_output(shape(), method=FORMS[job["form"]])
    message = [question(job, job["prompts"][0])]
    try:
        answer = list(asking.stream(message))[-1] if job["streamed"] else asking.invoke(message)
    except Exception as error:
        return {"error": {**describe(error), "partial": ""}}
    return {"object": answer.model_dump()}


def question(job, prompt):
    kinds = {True: {"type": "image"}, False: {"type": "file", "filename": "paper"}}
    files = [{**kinds[f["media"].startswith("image/")], "base64": f["data"], "mime_type": f["media"]} for f in job["files"]]
    return HumanMessage([{"type": "text", "text": prompt}, *files] if files else prompt)


def run(agent, messages, deltas):
    """The agent's state at its end, by its stream of messages where the text is wanted as it comes."""
    if deltas is None:
        return agent.invoke({"messages": messages})
    state = {}
    for kind, value in agent.stream({"messages": messages}, stream_mode=["messages", "values"]):
        if kind == "values":
            state = value
        elif isinstance(value[0], AIMessageChunk) and value[0].text:
            deltas.append(str(value[0].text))
    return state


def reasoning(message):
    return "".join(b.get("reasoning", "") for b in message.content_blocks if b["type"] == "reasoning")


def converse(job):
    if job["form"]:
        return structured(job)
    ran, texts, messages = [], [], []
    deltas = [] if job["streamed"] else None
    try:
        for at, prompt in enumerate(job["prompts"]):
            messages = [*messages, HumanMessage(prompt) if at else question(job, prompt)]
            state = run(agent_of(job, ran), messages, deltas)
            messages = state["messages"]
            texts.append(str(messages[-1].text))
    except Exception as error:
        return {"error": {**describe(error), "partial": "".join(deltas or ())}}
    said = [m for m in messages if isinstance(m, AIMessage)]
    counts = [m.usage_metadata or {} for m in said]
    return {
        "texts": texts,
        "deltas": deltas or [],
        "ran": ran,
        "thinking": "".join(reasoning(m) for m in said),
        "said": "".join(str(m.text) for m in said),
        "usage": {
            "input": sum(c.get("input_tokens", 0) for c in counts),
            "output": sum(c.get("output_tokens", 0) for c in counts),
        },
        "stop": None,
    }


if __name__ == "__main__":
    judge({"ready": lambda job: {}, "converse": converse})
