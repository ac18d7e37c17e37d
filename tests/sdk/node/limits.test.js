// What the SDK makes of limits and budgets of its key.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { ALONE_KEY, DONE, HELLO, ONCE_KEY, POOR_KEY, start } from './support.js';

const { connect, understudy } = await start();

const ASK = { model: 'smart', messages: [{ role: 'user', content: 'Hello!' }] };

test('a limit that is used up', async () => {
  const client = connect({ apiKey: ONCE_KEY });
  const { response } = await client.chat.completions.create(ASK).withResponse();
  assert.equal(response.headers.get('x-ratelimit-limit-requests'), '1');
  assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '0');
  assert.equal(response.headers.get('x-ratelimit-limit-tokens'), '1000');
  const error = await client.chat.completions.create(ASK).catch((error) => error);
  assert.ok(error instanceof OpenAI.RateLimitError, `${error}`);
  assert.deepEqual([error.status, error.code, error.type], [429, 'rate_limit_exceeded', 'rate_limit_error']);
  assert.match(error.message, /1\/1 requests per minute for the client `once`/);
  const wait = Number(error.headers.get('retry-after'));
  assert.ok(wait > 50 && wait <= 60, `${wait}`);
  assert.equal((await understudy.received()).length, 1);
});

test('the SDK waits for as long as it is told, and then has its turn', async () => {
  await understudy.on({}, { stream: [...HELLO, DONE], hang_after: HELLO.join('\n\n').length + 2 }, { persona: true });
  let stream;
  const answers = [];
  // Looks on while the SDK asks, and ends the other request with the first refusal.
  const watching = async (...request) => {
    const answer = await fetch(...request);
    answers.push({ status: answer.status, wait: answer.headers.get('retry-after'), at: performance.now() });
    if (answer.status === 429) stream.controller.abort();
    return answer;
  };
  stream = await connect({ apiKey: ALONE_KEY }).chat.completions.create({ ...ASK, stream: true });
  const client = connect({ apiKey: ALONE_KEY, maxRetries: 5, fetch: watching });
  const answer = await client.chat.completions.create(ASK);
  assert.equal(answer.choices[0].message.content, 'understudy heard: Hello!');
  const [refused, next] = answers;
  assert.deepEqual([refused.status, refused.wait], [429, '1']);
  assert.ok(next.at - refused.at >= 990, `${next.at - refused.at} ms`);
});

test('a budget that is used up', async () => {
  let asked = 0;
  const counting = (...request) => (asked++, fetch(...request));
  const client = connect({ apiKey: POOR_KEY, maxRetries: 2, fetch: counting });
  let error;
  for (let round = 0; round < 20 && !error; round++) {
    await client.chat.completions.create({ ...ASK, model: 'up/gpt-4o', max_tokens: 10 }).catch((thrown) => (error = thrown));
  }
  assert.deepEqual([error.status, error.code], [402, 'insufficient_quota']);
  assert.match(error.message, /The budget of the client `poor` is used up/);
  // Trying again would not help, and is not tried.
  assert.equal(asked, (await understudy.received()).length + 1);
});
