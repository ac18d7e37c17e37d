// The AI SDK (`ai`), with each of its own providers: it reads answers more strictly than the providers' own SDKs.

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { Output, generateText, jsonSchema, isStepCount, streamText, tool } from 'ai';
import { CITY, Report, TOOLS, cells } from './cells.js';
import { start } from './stage.js';

const stage = await start();
const apiKey = stage.key;
const chat = createOpenAI({ apiKey, baseURL: `${stage.base('openai-chat/v1')}/v1` });
const responses = createOpenAI({ apiKey, baseURL: `${stage.base('openai-responses/v1')}/v1` });
const anthropic = createAnthropic({ apiKey, baseURL: `${stage.base('anthropic')}/v1` });
const google = createGoogleGenerativeAI({ apiKey, baseURL: `${stage.base('gemini')}/v1beta` });

const PROVIDERS = [
  {
    name: 'ai, openai chat',
    column: 'chat',
    language: (model) => chat.chat(model),
    thinking: { openai: { reasoningEffort: 'medium' } },
  },
  {
    name: 'ai, openai responses',
    column: 'responses',
    showsThoughts: true,
    language: (model) => responses.responses(model),
    options: { openai: { store: false } },
    thinking: { openai: { store: false, reasoningSummary: 'auto', include: ['reasoning.encrypted_content'] } },
  },
  {
    name: 'ai, anthropic',
    column: 'claude',
    showsThoughts: true,
    language: (model) => anthropic(model),
    thinking: { anthropic: { thinking: { type: 'enabled', budgetTokens: 2048 } } },
  },
  {
    name: 'ai, google',
    column: 'gem',
    showsThoughts: true,
    // It takes a name with a slash for a whole path.
    language: (model) => google(model.includes('/') ? `models/${model}` : model),
    thinking: { google: { thinkingConfig: { includeThoughts: true } } },
  },
];

for (const provider of PROVIDERS) {
  cells({
    ...provider,
    stopped: 'stop',
    model: stage.model,
    check: (error) => ({ status: error.statusCode, retryAfter: retryAfter(error) }),

    async ask(way, model, { text, thinking }) {
      const answer = await told(way, request(provider, model, text, thinking));
      const usage = { input: answer.usage.inputTokens, output: answer.usage.outputTokens };
      return { text: answer.text, thinking: answer.reasoningText, finish: answer.finishReason, usage };
    },

    async loop(way, model, { text, tools, thinking }) {
      const calls = [];
      const answer = await told(way, {
        ...request(provider, model, text, thinking),
        tools: Object.fromEntries(tools.map((name) => [name, runnable(name, calls)])),
        stopWhen: isStepCount(3),
      });
      return { text: answer.text, calls };
    },

    async parse(model, text) {
      const output = Output.object({ schema: Report });
      return (await generateText({ ...request(provider, model, text), output })).output;
    },
  });
}

function request({ language, options, thinking }, model, prompt, isThinking) {
  return { model: language(model), prompt, maxRetries: 0, providerOptions: isThinking ? thinking : options };
}

function runnable(name, calls) {
  return tool({
    inputSchema: jsonSchema(CITY),
    execute: async (input) => {
      calls.push([name, input]);
      return TOOLS[name] ?? 'nothing';
    },
  });
}

async function told(way, request) {
  if (way === 'whole') return generateText(request);
  const result = streamText({ ...request, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error;
  }
  const [text, reasoningText, finishReason, usage] = await Promise.all([
    result.text,
    result.reasoningText,
    result.finishReason,
    result.usage,
  ]);
  return { text, reasoningText, finishReason, usage };
}

/** From the header, or for Google from the details of the error. */
function retryAfter(error) {
  return error.responseHeaders?.['retry-after'] ?? error.responseBody?.match(/"retryDelay": ?"(\d+)s"/)?.[1];
}
