// The scenarios that every client plays against every provider, whole and in a stream.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { DIRECT } from './stage.js';
import { UPSTREAMS, nameOf } from './upstreams.js';

const THOUGHT = 'Let me think about this.';
const AFTERTHOUGHT = 'I thought about it.';
const UNICODE = 'Grüße 😀 👩\u200d👩\u200d👧\u200d👦 🇫🇷 e\u0301n\u0303 日本語 한국어 שלום مرحبا 𝒳𠮷 z\u200dw — end';

let models = 0;

export const Report = z.object({ city: z.string(), days: z.number() });

export const CITY = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};

/** What the tools of the tests answer. */
export const TOOLS = { weather: 'sunny', clock: 'noon' };

/** What a user sees of each error: the status, and for how long to wait. */
const ERRORS = {
  'error-400': [400],
  'error-401': [401],
  'error-403': [403],
  'error-404': [404],
  'error-413': [413],
  'error-429': [429],
  'error-500': [500, 502],
  'error-503': [503, 529],
  'error-529': [503, 529],
  'error-context': [400],
};

/**
 * A client has
 * - `ask(way, model, question)`, which answers `{ text, thinking, finish, usage: { input, output } }`,
 * - `loop(way, model, question)`, which runs the tools and answers `{ text, calls: [[name, arguments]] }` of all turns,
 * - `parse(model, text)`, with the SDK's own help, and `check(error)`, which answers `{ status, retryAfter }`.
 */
export function cells(client) {
  for (const upstream of UPSTREAMS) {
    if (DIRECT && upstream.name !== client.column) continue;
    const cell = (scenario, play) => test(nameOf(client.name, upstream.name, scenario), play);
    const model = () => client.model(upstream, upstream.model);
    // Of a model that fails, the gateway remembers it.
    const ownModel = () => client.model(upstream, `${upstream.model}-${(models += 1)}`);
    const thinker = () => client.model(upstream, upstream.thinker ?? upstream.model);

    cell('structured output', async () => {
      assert.deepEqual(await client.parse(model(), '[[json]]'), { city: 'Paris', days: 1 });
    });

    for (const way of ['whole', 'stream']) {
      cell(`text, ${way}`, async () => {
        const answer = await client.ask(way, model(), { text: '[[text]] Hello' });
        assert.equal(answer.text, 'You said: [[text]] Hello');
        assert.equal(answer.finish, client.stopped);
        assert.deepEqual(answer.usage, { input: 13, output: 9 });
      });

      cell(`unicode, ${way}`, async () => {
        assert.equal((await client.ask(way, model(), { text: '[[split-utf8]]' })).text, UNICODE);
      });

      cell(`tool loop, ${way}`, async () => {
        const { text, calls } = await client.loop(way, model(), { text: '[[tool]]', tools: ['weather'] });
        assert.deepEqual(calls, [['weather', { city: 'Paris' }]]);
        assert.match(text, /^Tool said: \[\S+\] .*sunny/);
      });

      cell(`parallel tools, ${way}`, async () => {
        const question = { text: '[[interleaved]]', tools: ['weather', 'clock'] };
        const { text, calls } = await client.loop(way, model(), question);
        assert.deepEqual(calls, [['weather', { city: 'Paris' }], ['clock', { city: 'Rome' }]]);
        assert.match(text, /^Tool said: \[\S+\] .*sunny.*; \[\S+\] .*noon/);
      });

      cell(`no arguments, ${way}`, async () => {
        const { calls } = await client.loop(way, model(), { text: '[[empty-args]]', tools: ['anything'] });
        assert.deepEqual(calls, [['anything', {}]]);
      });

      cell(`reasoning, ${way}`, async () => {
        const answer = await client.ask(way, thinker(), { text: '[[reasoning]]', thinking: true });
        // The AI SDK for Chat Completions shows no thoughts.
        if (client.showsThoughts) assert.equal(answer.thinking, THOUGHT);
        assert.equal(answer.text, AFTERTHOUGHT);
      });

      cell(`reasoning and a tool, ${way}`, async () => {
        const question = { text: '[[reasoning-tool]]', tools: ['weather'], thinking: true };
        const { text } = await client.loop(way, thinker(), question);
        assert.match(text, /^Tool said: \[\S+\] .*sunny/);
      });

      for (const [name, statuses] of Object.entries(ERRORS)) {
        cell(`${name}, ${way}`, async () => {
          const error = await failure(client.ask(way, ownModel(), { text: `[[${name}]]` }));
          const { status, retryAfter } = client.check(error);
          const isPassedOn = upstream.name === 'gem' && client.column === 'gem' && name === 'error-401';
          assert.ok(isPassedOn ? status === 400 : statuses.includes(status), `${status}: ${error}`);
          if (name === 'error-429') assert.equal(retryAfter, '7');
        });
      }

      for (const name of ['error-first-event', 'error-mid-stream', 'cut-mid-stream']) {
        cell(`${name}, ${way}`, async () => {
          await failure(client.ask(way, ownModel(), { text: `[[${name}]] one two three four` }));
        });
      }
    }
  }
}

/** The error that a promise ends in. */
async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    // A mistake of these tests has no cause; a connection that breaks off has one.
    assert.ok(!(error instanceof TypeError) || error.cause, error);
    return error;
  }
  assert.fail('there was no error');
}
