// The `openai` SDK: Chat Completions and Responses.

import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { CITY, Report, TOOLS, cells } from './cells.js';
import { start } from './stage.js';

const stage = await start();
const sdk = (persona) => new OpenAI({ baseURL: `${stage.base(persona)}/v1`, apiKey: stage.key, maxRetries: 0 });
const chat = sdk('openai-chat/v1');
const responses = sdk('openai-responses/v1');

const check = (error) => ({ status: error.status, retryAfter: error.headers?.get('retry-after') });

async function completed(way, request) {
  if (way === 'whole') return chat.chat.completions.create(request);
  const stream = chat.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
  // The helper knows nothing of thoughts, and keeps the last piece of what it does not know.
  let thought = '';
  stream.on('chunk', (chunk) => (thought += chunk.choices[0]?.delta.reasoning_content ?? ''));
  const completion = await stream.finalChatCompletion();
  if (thought) completion.choices[0].message.reasoning_content = thought;
  return completion;
}

cells({
  name: 'openai, chat',
  column: 'chat',
  stopped: 'stop',
  showsThoughts: true,
  model: stage.model,
  check,

  async ask(way, model, { text, thinking }) {
    const messages = [{ role: 'user', content: text }];
    const completion = await completed(way, { model, messages, ...(thinking && { reasoning_effort: 'medium' }) });
    const { message, finish_reason } = completion.choices[0];
    const usage = { input: completion.usage.prompt_tokens, output: completion.usage.completion_tokens };
    return { text: message.content, thinking: message.reasoning_content, finish: finish_reason, usage };
  },

  async loop(way, model, { text, tools, thinking }) {
    const messages = [{ role: 'user', content: text }];
    const offered = tools.map((name) => ({ type: 'function', function: { name, parameters: CITY } }));
    const request = { model, tools: offered, ...(thinking && { reasoning_effort: 'medium' }) };
    const { message } = (await completed(way, { ...request, messages })).choices[0];
    const calls = message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
    messages.push(unparsed(message));
    for (const call of message.tool_calls) {
      messages.push({ role: 'tool', tool_call_id: call.id, content: TOOLS[call.function.name] ?? 'nothing' });
    }
    const answer = await completed(way, { ...request, messages });
    return { text: answer.choices[0].message.content, calls };
  },

  async parse(model, text) {
    const response_format = zodResponseFormat(Report, 'report');
    const messages = [{ role: 'user', content: text }];
    const completion = await chat.chat.completions.parse({ model, messages, response_format });
    return completion.choices[0].message.parsed;
  },
});

/** A message of the helper without what the SDK itself added to it, which OpenAI does not know. */
function unparsed({ parsed, ...message }) {
  const tool_calls = message.tool_calls.map(({ index, ...call }) => {
    const { parsed_arguments, ...called } = call.function;
    return { ...call, function: called };
  });
  return { ...message, tool_calls };
}

async function responded(way, request) {
  if (way === 'whole') return responses.responses.create(request);
  return responses.responses.stream(request).finalResponse();
}

const reasoned = (thinking) =>
  thinking && { reasoning: { effort: 'medium', summary: 'auto' }, include: ['reasoning.encrypted_content'] };

cells({
  name: 'openai, responses',
  column: 'responses',
  stopped: 'completed',
  showsThoughts: true,
  model: stage.model,
  check,

  async ask(way, model, { text, thinking }) {
    const response = await responded(way, { model, input: text, store: false, ...reasoned(thinking) });
    if (response.status === 'failed') throw new OpenAI.OpenAIError(response.error.message);
    const thought = response.output.find((item) => item.type === 'reasoning');
    const usage = { input: response.usage.input_tokens, output: response.usage.output_tokens };
    return { text: response.output_text, thinking: thought?.summary[0]?.text, finish: response.status, usage };
  },

  async loop(way, model, { text, tools, thinking }) {
    const offered = tools.map((name) => ({ type: 'function', name, parameters: CITY, strict: false }));
    const request = { model, tools: offered, store: false, ...reasoned(thinking) };
    const input = [{ role: 'user', content: text }];
    const { output } = await responded(way, { ...request, input });
    const called = output.filter((item) => item.type === 'function_call');
    input.push(...output.map(({ parsed_arguments, ...item }) => item));
    for (const call of called) {
      input.push({ type: 'function_call_output', call_id: call.call_id, output: TOOLS[call.name] ?? 'nothing' });
    }
    const answer = await responded(way, { ...request, input });
    return { text: answer.output_text, calls: called.map((call) => [call.name, JSON.parse(call.arguments)]) };
  },

  async parse(model, text) {
    const format = zodTextFormat(Report, 'report');
    const response = await responses.responses.parse({ model, input: text, text: { format } });
    return response.output_parsed;
  },
});
