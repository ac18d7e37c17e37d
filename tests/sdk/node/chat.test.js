// Chat completions: whole, streamed, with tools.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DONE, HELLO, UPSTREAM_KEY, chunk, eventually, start } from './support.js';

const { client, understudy } = await start();

const ask = (content = 'one two three') => ({ model: 'smart', messages: [{ role: 'user', content }] });
const SAID = 'understudy heard: one two three';
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const WEATHER = { type: 'function', function: { name: 'get_weather', parameters } };

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const textOf = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');

test('an answer', async () => {
  const completion = await client.chat.completions.create({ ...ask(), n: 2 });
  assert.deepEqual(completion.choices.map((choice) => choice.message.content), [SAID, SAID]);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.ok(completion.usage.total_tokens > 0);
  const [received] = await understudy.received();
  assert.equal(JSON.parse(received.body).model, 'gpt-test');
  assert.equal(received.headers.authorization, `Bearer ${UPSTREAM_KEY}`);
});

test('the headers of an answer', async () => {
  const { response, request_id } = await client.chat.completions.create(ask()).withResponse();
  assert.match(request_id, /^req_understudy_\d+$/);
  assert.equal(response.headers.get('x-mynah-model'), 'up/gpt-test');
  assert.equal(response.headers.get('x-ratelimit-limit-requests'), '10000');
  assert.match(response.headers.get('server-timing'), /^gateway;dur=[\d.]+, upstream;dur=[\d.]+$/);
});

test('the second target when the first refuses', async () => {
  await understudy.on({ model: 'gpt-broken' }, { status: 503, body: 'busy' });
  const completion = await client.chat.completions.create({ ...ask(), model: 'first-refuses' });
  assert.equal(completion.choices[0].message.content, SAID);
});

test('a stream, without usage unless it is asked for', async () => {
  const chunks = await collect(await client.chat.completions.create({ ...ask(), stream: true }));
  assert.equal(textOf(chunks), SAID);
  assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
  const options = { stream: true, stream_options: { include_usage: true } };
  const metered = await collect(await client.chat.completions.create({ ...ask(), ...options }));
  assert.deepEqual(metered.at(-1).choices, []);
  assert.ok(metered.at(-1).usage.total_tokens > 0);
});

test('a stream in small pieces', async () => {
  const text = 'naïve 日本語 👩‍👩‍👧‍👦';
  const stream = [chunk({ role: 'assistant', content: '' }), chunk({ content: text }), chunk({}, 'stop'), DONE];
  await understudy.on({}, { stream, split: Array(600).fill(1) });
  assert.equal(textOf(await collect(await client.chat.completions.create({ ...ask(), stream: true }))), text);
});

test('the accumulator', async () => {
  const stream = client.chat.completions.stream({ ...ask(), n: 2, stream_options: { include_usage: true } });
  let content = '';
  stream.on('content', (delta) => (content += delta));
  const completion = await stream.finalChatCompletion();
  assert.deepEqual(completion.choices.map((choice) => choice.message.content), [SAID, SAID]);
  assert.ok(content.includes('understudy'));
  assert.ok((await stream.totalUsage()).total_tokens > 0);
});

test('structured output', async () => {
  const schema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };
  const response_format = { type: 'json_schema', json_schema: { name: 'answer', schema } };
  const completion = await client.chat.completions.create({ ...ask('Hello'), response_format });
  assert.deepEqual(JSON.parse(completion.choices[0].message.content), { text: 'Hello' });
});

test('tools, whole and accumulated', async () => {
  const question = { ...ask('Use get_weather'), tools: [WEATHER] };
  const whole = await client.chat.completions.create(question);
  const streamed = await client.chat.completions.stream(question).finalChatCompletion();
  for (const completion of [whole, streamed]) {
    const { finish_reason, message } = completion.choices[0];
    assert.equal(finish_reason, 'tool_calls');
    const calls = message.tool_calls.map((call) => [call.type, call.function.name, call.function.arguments]);
    assert.deepEqual(calls, [['function', 'get_weather', '{"city":"Use get_weather"}']]);
  }
});

for (const stream of [false, true]) {
  test(`the loop that runs tools, ${stream ? 'streamed' : 'whole'}`, async () => {
    const heard = [];
    const weather = ({ city }) => {
      heard.push(city);
      return 'sunny';
    };
    const tool = { type: 'function', function: { name: 'get_weather', parameters, parse: JSON.parse, function: weather } };
    const runner = client.chat.completions.runTools({ ...ask('Use get_weather'), tools: [tool], stream });
    assert.equal(await runner.finalContent(), 'understudy heard: Use get_weather; the tool said: sunny');
    assert.deepEqual(heard, ['Use get_weather']);
  });
}

test('aborting in the middle hangs up on the provider', async () => {
  await understudy.on({}, { stream: Array(1000).fill(HELLO).flat(), pace: '10ms' });
  const stream = await client.chat.completions.create({ ...ask(), stream: true });
  for await (const _ of stream) stream.controller.abort();
  await eventually(async () => (await understudy.received())[0].outcome === 'aborted');
});

test('the built-in model', async () => {
  const echo = { model: 'mynah/echo', messages: [{ role: 'user', content: 'get_weather, please' }] };
  assert.equal((await client.chat.completions.create(echo)).choices[0].message.content, 'get_weather, please');
  assert.equal(await client.chat.completions.stream(echo).finalContent(), 'get_weather, please');
  const completion = await client.chat.completions.stream({ ...echo, tools: [WEATHER] }).finalChatCompletion();
  assert.deepEqual(JSON.parse(completion.choices[0].message.tool_calls[0].function.arguments), { city: 'get_weather, please' });
  assert.deepEqual(await understudy.received(), []);
});
