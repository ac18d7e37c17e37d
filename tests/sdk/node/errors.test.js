// Which error the SDK throws, and what it knows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { DONE, HELLO, LIMITED_KEY, chunk, errorReply, start } from './support.js';

const { client, connect, understudy } = await start();

const ASK = { model: 'smart', messages: [{ role: 'user', content: 'Hello!' }] };

async function thrownBy(promise, kind) {
  const error = await promise.then(
    () => assert.fail('nothing was thrown'),
    (error) => error,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  return error;
}

async function read(stream) {
  let text = '';
  try {
    for await (const chunk of stream) {
      assert.equal(chunk.choices[0].finish_reason, null);
      text += chunk.choices[0].delta.content ?? '';
    }
  } catch (error) {
    return { text, error };
  }
  return assert.fail(`the stream ended as if nothing had happened, after ${text}`);
}

for (const [status, kind] of [
  [400, OpenAI.BadRequestError],
  [404, OpenAI.NotFoundError],
  [422, OpenAI.UnprocessableEntityError],
  [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError],
  [503, OpenAI.InternalServerError],
]) {
  test(`${status} of the provider`, async () => {
    await understudy.on({}, errorReply(status, { headers: { 'retry-after': '17', 'x-request-id': 'req_7' } }));
    for (const stream of [false, true]) {
      // A model that is throttled rests, so that each gets one of its own.
      const model = `up/gpt-${status}-${stream}`;
      const error = await thrownBy(client.chat.completions.create({ ...ASK, model, stream }), kind);
      assert.equal(error.status, status);
      assert.deepEqual([error.type, error.param, error.code], ['some_type', 'some_param', 'some_code']);
      assert.equal(error.requestID, 'req_7');
      assert.equal(error.headers.get('retry-after'), '17');
    }
  });
}

test('errors of the gateway', async () => {
  const wrong = connect({ apiKey: 'sk-wrong' });
  assert.equal((await thrownBy(wrong.chat.completions.create(ASK), OpenAI.AuthenticationError)).code, 'invalid_api_key');
  const limited = connect({ apiKey: LIMITED_KEY });
  const forbidden = limited.chat.completions.create({ ...ASK, model: 'up/gpt-4o' });
  assert.equal((await thrownBy(forbidden, OpenAI.PermissionDeniedError)).code, 'model_not_allowed');
  const unknown = client.chat.completions.create({ ...ASK, model: 'smrat' });
  assert.equal((await thrownBy(unknown, OpenAI.NotFoundError)).code, 'model_not_found');
  const unreachable = client.chat.completions.create({ ...ASK, model: 'dead/gpt-test' });
  assert.equal((await thrownBy(unreachable, OpenAI.InternalServerError)).status, 502);
  assert.deepEqual(await understudy.received(), []);
});

test('an error inside a stream', async () => {
  const event = 'data: {"error": {"message": "Overloaded.", "type": "server_error", "param": null, "code": "overloaded"}}';
  await understudy.on({}, { stream: [...HELLO, event] });
  const { text, error } = await read(await client.chat.completions.create({ ...ASK, stream: true }));
  assert.equal(text, 'Hello');
  assert.ok(error instanceof OpenAI.APIError);
  assert.equal(error.code, 'overloaded');
});

const WHOLE = HELLO.join('\n\n').length + 2;

for (const [where, place] of [['between two events', WHOLE], ['in the middle of an event', WHOLE - 80]]) {
  test(`a stream that is cut ${where}`, async () => {
    await understudy.on({}, { stream: [...HELLO, chunk({}, 'stop'), DONE], cut_at: place });
    const { error } = await read(await client.chat.completions.create({ ...ASK, stream: true }));
    assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.code, 'upstream_broken');
    await thrownBy(client.chat.completions.stream(ASK).finalChatCompletion(), OpenAI.OpenAIError);
  });
}

test('losing patience', async () => {
  await understudy.on({}, { hang: true });
  await thrownBy(client.chat.completions.create(ASK, { timeout: 300 }), OpenAI.APIConnectionTimeoutError);
});
