// Everything but chat.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toFile } from 'openai';
import { start } from './support.js';

const { client, understudy } = await start();

const SAID = 'understudy heard: one two';
const RECORDING = Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 256));

test('responses', async () => {
  const response = await client.responses.create({ model: 'smart', input: 'one two' });
  assert.equal(response.output_text, SAID);
  const streamed = await client.responses.stream({ model: 'smart', input: 'one two' }).finalResponse();
  assert.equal(streamed.output_text, SAID);
  const echoed = await client.responses.stream({ model: 'mynah/echo', input: 'one two' }).finalResponse();
  assert.equal(echoed.output_text, 'one two');
});

test('events of a response', async () => {
  const kinds = [];
  let text = '';
  for await (const event of await client.responses.create({ model: 'smart', input: 'one two', stream: true })) {
    kinds.push(event.type);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  assert.equal(text, SAID);
  assert.deepEqual([kinds[0], kinds.at(-1)], ['response.created', 'response.completed']);
});

test('function call of a response', async () => {
  const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
  const tools = [{ type: 'function', name: 'get_weather', parameters, strict: false }];
  for (const model of ['smart', 'mynah/echo']) {
    const response = await client.responses.stream({ model, input: 'get_weather', tools }).finalResponse();
    assert.equal(response.output[0].type, 'function_call');
    assert.equal(response.output[0].arguments, '{"city":"get_weather"}');
  }
});

test('embeddings', async () => {
  const ask = { model: 'smart', input: ['one', 'two'], dimensions: 16 };
  const asBase64 = await client.embeddings.create(ask);
  assert.equal(JSON.parse((await understudy.received())[0].body).encoding_format, 'base64');
  const asFloat = await client.embeddings.create({ ...ask, encoding_format: 'float' });
  for (const [place, { embedding }] of asFloat.data.entries()) {
    assert.equal(embedding.length, 16);
    embedding.forEach((number, index) => assert.ok(Math.abs(number - asBase64.data[place].embedding[index]) < 1e-6));
  }
});

test('images', async () => {
  const generated = await client.images.generate({ model: 'gpt-image-1', prompt: 'a cat', n: 2 });
  assert.equal(generated.data.length, 2);
  const image = await toFile(RECORDING, 'cat.png', { type: 'image/png' });
  const edited = await client.images.edit({ model: 'smart', image: [image, image], prompt: 'a hat' });
  assert.equal(edited.data[0].revised_prompt, 'understudy heard: a hat');
  const { body } = (await understudy.received())[1];
  assert.ok(body.includes(RECORDING) && body.includes('gpt-test') && !body.includes('smart'));
});

test('transcription of an upload', async () => {
  const file = await toFile(RECORDING, 'talk.wav');
  const transcription = await client.audio.transcriptions.create({ model: 'smart', file });
  assert.equal(transcription.text, 'understudy heard: 50000 bytes of talk.wav');
  let text = '';
  for await (const event of await client.audio.transcriptions.create({ model: 'smart', file, stream: true })) {
    if (event.type === 'transcript.text.delta') text += event.delta;
  }
  assert.equal(text, transcription.text);
});

test('speech', async () => {
  const speech = await client.audio.speech.create({ model: 'smart', voice: 'alloy', input: 'Good day' });
  assert.equal(speech.headers.get('content-type'), 'audio/mpeg');
  assert.ok(Buffer.from(await speech.arrayBuffer()).includes('Good day'));
});

test('completions and moderations', async () => {
  const completion = await client.completions.create({ model: 'smart', prompt: 'Once' });
  assert.match(completion.choices[0].text, /Once$/);
  const moderation = await client.moderations.create({ input: ['fine', 'forbidden'] });
  assert.deepEqual(moderation.results.map((result) => result.flagged), [false, true]);
});

test('models', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(['smart', 'gpt-4o', 'mynah/echo'].every((id) => ids.includes(id)));
  // The SDK sends the slash as %2F.
  assert.equal((await client.models.retrieve('up/gpt-4o')).id, 'up/gpt-4o');
});

test('life of a file, and a batch of it', async () => {
  const file = await client.files.create({ file: await toFile(RECORDING, 'a.jsonl'), purpose: 'batch' });
  assert.equal(file.bytes, RECORDING.length);
  const content = await client.files.content(file.id);
  assert.ok(Buffer.from(await content.arrayBuffer()).equals(RECORDING));
  const ask = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  assert.equal((await client.batches.create(ask)).status, 'validating');
  assert.equal((await client.files.delete(file.id)).deleted, true);
});
