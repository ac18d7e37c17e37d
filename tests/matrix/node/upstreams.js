// The columns of the matrix. What their providers cannot do is told in ../python/expectations.py.

export const UPSTREAMS = [
  {
    name: 'chat',
    persona: 'openai-chat/v1',
    kind: 'kind = "openai"\napis = ["chat"]',
    model: 'gpt-4o',
    thinker: 'some-model',
  },
  { name: 'responses', persona: 'openai-responses/v1', kind: 'kind = "openai"\napis = ["responses"]', model: 'gpt-5' },
  { name: 'claude', persona: 'anthropic', kind: 'kind = "anthropic"', model: 'claude-opus-4-6' },
  { name: 'gem', persona: 'gemini', kind: 'kind = "gemini"', model: 'gemini-3-pro' },
  {
    name: 'co',
    persona: 'cohere',
    kind: 'kind = "cohere"',
    model: 'command-a-03-2025',
    thinker: 'command-a-reasoning-08-2025',
  },
];

export const nameOf = (client, upstream, scenario) => `${client} × ${upstream}: ${scenario}`;

/** The client and the provider in the name of a test. */
export function cellOf(name) {
  const [, client, upstream] = name.match(/^(.+) × (\w+): /) ?? [];
  return client && { client, upstream };
}
