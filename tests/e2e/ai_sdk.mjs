// The Vercel AI SDK as a judge: a job a line on stdin, what the SDK made of the answers a line on stdout.
//
// Run with the directory that holds its packages as the only argument. Knows nothing of this project but where it is asked to go.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.argv[2], "package.json"));
const { APICallError, generateText, Output, stepCountIs, streamText, tool } = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");
const { createAnthropic } = require("@ai-sdk/anthropic");
const { createGoogleGenerativeAI } = require("@ai-sdk/google");
const { createAmazonBedrock } = require("@ai-sdk/amazon-bedrock");
const { z } = require("zod");

globalThis.AI_SDK_LOG_WARNINGS = false;
const TIMEOUT = 20_000;
const AWS = { region: "us-east-1", accessKeyId: "AKIAE2E", secretAccessKey: "secret" };
const ANSWER = z.object({ zeta: z.string(), alpha: z.array(z.number().int()) });

const MODELS = {
  openai: (job) => createOpenAI({ baseURL: `${job.base_url}/v1`, apiKey: job.key }).chat(job.model),
  responses: (job) => createOpenAI({ baseURL: `${job.base_url}/v1`, apiKey: job.key }).responses(job.model),
  compatible: (job) =>
    createOpenAICompatible({
      name: "gateway",
      baseURL: `${job.base_url}/v1`,
      apiKey: job.key,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })(job.model),
  anthropic: (job) => createAnthropic({ baseURL: `${job.base_url}/v1`, apiKey: job.key })(job.model),
  gemini: (job) => createGoogleGenerativeAI({ baseURL: `${job.base_url}/v1beta`, apiKey: job.key })(job.model),
  bedrock: (job) => createAmazonBedrock({ baseURL: job.base_url, ...bedrockKey(job) })(job.model),
};

/** AWS takes a signature (or a bearer of its own), a gateway its key as a bearer. */
function bedrockKey(job) {
  return job.direct ? AWS : { region: AWS.region, apiKey: job.key };
}

const THINKING = {
  openai: { openai: { forceReasoning: true, reasoningEffort: "medium" } },
  responses: {
    openai: {
      forceReasoning: true,
      reasoningEffort: "medium",
      reasoningSummary: "auto",
      store: false,
      include: ["reasoning.encrypted_content"],
    },
  },
  compatible: { gateway: { reasoningEffort: "medium" } },
  anthropic: { anthropic: { thinking: { type: "enabled", budgetTokens: 2000 } } },
  gemini: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 2000 } } },
  bedrock: { bedrock: { additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 2000 } } } },
};

/** Clients that know two ways to a structured answer, and would choose by the model's name. */
const TWO_WAYS = ["anthropic", "bedrock"];
const WAYS = { native: "outputFormat", tool: "jsonTool" };

function weather(ran) {
  return tool({
    description: "Weather of a place",
    inputSchema: z.object({ city: z.string().describe("name, e.g. 北京"), days: z.number().int().optional() }),
    execute: async (args) => {
      ran.push(args);
      return `21 °C in ${args.city}`;
    },
  });
}

function content(job, prompt) {
  const data = (job.files ?? []).map(({ media, data }) =>
    media.startsWith("image/")
      ? { type: "image", image: data, mediaType: media }
      : { type: "file", data, mediaType: media, filename: "paper.pdf" },
  );
  return data.length ? [{ type: "text", text: prompt }, ...data] : prompt;
}

function settings(job, messages, ran) {
  const asked = { model: MODELS[job.client](job), messages, maxRetries: 0, maxOutputTokens: job.max_tokens || undefined };
  asked.abortSignal = AbortSignal.timeout(TIMEOUT);
  if (job.system) asked.system = job.system;
  if (job.tools) Object.assign(asked, { tools: { get_weather: weather(ran) }, stopWhen: stepCountIs(6) });
  if (job.form) asked.output = Output.object({ schema: ANSWER });
  if (job.form && TWO_WAYS.includes(job.client)) asked.providerOptions = { [job.client]: { structuredOutputMode: WAYS[job.form] } };
  if (job.think) asked.providerOptions = THINKING[job.client];
  return asked;
}

async function streamed(asked, deltas) {
  const result = streamText({ ...asked, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") deltas.push(part.text);
    if (part.type === "error") throw Object.assign(told(part.error), { partial: deltas.join("") });
  }
  return result;
}

/** What a provider gives as an error is not always an Error. */
function told(error) {
  return error instanceof Error ? error : new Error(typeof error === "string" ? error : JSON.stringify(error));
}

async function converse(job) {
  const ran = [];
  const texts = [];
  const messages = [];
  const steps = [];
  const deltas = [];
  let result;
  for (const [at, prompt] of job.prompts.entries()) {
    messages.push({ role: "user", content: at ? prompt : content(job, prompt) });
    result = await (job.streamed ? streamed : generateText)(settings(job, messages, ran), deltas);
    texts.push(await result.text);
    steps.push(...(await result.steps));
    messages.push(...(await result.response).messages);
  }
  const usage = await result.totalUsage;
  return {
    texts,
    deltas,
    ran,
    thinking: steps.map((step) => step.reasoningText ?? "").join(""),
    said: steps.map((step) => step.text).join(""),
    object: job.form ? await result.output : null,
    usage: { input: usage.inputTokens ?? 0, output: usage.outputTokens ?? 0 },
    stop: await result.finishReason,
  };
}

function classes(error) {
  const names = [];
  for (let at = error; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) names.push(at.constructor.name);
  return [error?.name, ...names];
}

function described(error) {
  const last = error?.lastError ?? error;
  return {
    classes: [...classes(error), ...(APICallError.isInstance(last) ? ["APICallError"] : [])],
    status: last?.statusCode ?? null,
    message: String(last?.message ?? JSON.stringify(last)),
    partial: error?.partial ?? "",
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  let verdict;
  try {
    const job = JSON.parse(line);
    verdict = job.mode === "ready" ? {} : await converse(job);
  } catch (error) {
    verdict = { error: described(error) };
  }
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
}
