// The Vercel AI SDK against a server: `node client.mjs URL FRONT`, where FRONT is chat, responses or anthropic.
// A line of standard input is a task, {dialect, tools, streamedTools, schema}, where tools are {name: [argument, ...]};
// what came of it is a line {dialect, said}. A line {"first": model} is written when a stream's first text is there.

import { createInterface } from "node:readline";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, Output, generateText, isStepCount, jsonSchema, streamText, tool } from "ai";

const [url, front] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const prompt = "hello";
const system = "Be brief.";
const maxRetries = 0;

function model(name) {
  if (front === "anthropic") return createAnthropic({ baseURL, apiKey: "-" })(name);
  const openai = createOpenAI({ baseURL, apiKey: "-" });
  return front === "chat" ? openai.chat(name) : openai.responses(name);
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function objectOf(names) {
  const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  return { type: "object", properties, additionalProperties: false };
}

function told({ text, usage, finishReason }) {
  return {
    text,
    finish: finishReason,
    input: usage.inputTokens,
    output: usage.outputTokens,
    cached: usage.inputTokenDetails?.cacheReadTokens ?? usage.cachedInputTokens ?? 0,
  };
}

async function streamed(name, options = {}) {
  let failure;
  const onError = ({ error }) => (failure = error);
  const result = streamText({ model: model(name), system, prompt, maxRetries, onError, ...options });
  let text = "";
  for await (const piece of result.textStream) {
    if (text === "" && piece !== "") say({ first: name });
    text += piece;
  }
  if (failure) return { text, failure: failed(failure) };
  const [usage, finishReason, steps] = await Promise.all([result.usage, result.finishReason, result.steps]);
  return { ...told({ text, usage, finishReason }), steps: steps.length };
}

function failed(error) {
  return {
    kind: APICallError.isInstance(error) ? "APICallError" : error.name ?? error.constructor.name,
    status: error.statusCode,
    message: String(error.message ?? JSON.stringify(error)),
    retryable: error.isRetryable,
  };
}

async function attempt(run) {
  try {
    return await run();
  } catch (error) {
    return { failure: failed(error) };
  }
}

function withTools(named) {
  const calls = [];
  const tools = Object.fromEntries(
    Object.entries(named).map(([name, names]) => [
      name,
      tool({
        description: name,
        inputSchema: jsonSchema(objectOf(names)),
        execute: async (input) => {
          calls.push([name, input]);
          return `result of ${name}`;
        },
      }),
    ]),
  );
  return { calls, options: { tools, stopWhen: isStepCount(2) } };
}

async function work({ dialect, tools, streamedTools, schema }) {
  const ask = { system, prompt, maxRetries };
  const whole = withTools(tools);
  const pieces = withTools(streamedTools);
  const said = {};
  said.text = await attempt(async () => told(await generateText({ model: model(`${dialect}.text`), ...ask })));
  said.stream = await attempt(() => streamed(`${dialect}.text`));
  said.tools = await attempt(async () => {
    const result = await generateText({ model: model(`${dialect}.calls`), ...ask, ...whole.options });
    return { text: result.text, calls: whole.calls, steps: result.steps.length };
  });
  said.streamedTools = await attempt(async () => {
    const result = await streamed(`${dialect}.calls`, pieces.options);
    return { text: result.text, calls: pieces.calls, steps: result.steps, failure: result.failure };
  });
  said.structured = await attempt(async () => {
    const output = Output.object({ schema: jsonSchema(schema) });
    return (await generateText({ model: model(`${dialect}.structured`), ...ask, output })).output;
  });
  for (const scene of ["429", "too-long", "503", "401"]) {
    said[scene] = await attempt(() => generateText({ model: model(`${dialect}.${scene}`), ...ask }));
  }
  said.broken = await attempt(() => streamed(`${dialect}.broken`));
  say({ dialect, said });
}

for await (const line of createInterface({ input: process.stdin })) await work(JSON.parse(line));
