// Starts the real binaries, and tells the understudy what to answer.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { createInterface } from 'node:readline';
import { after, beforeEach } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import OpenAI from 'openai';

// Keys and addresses of the machine must not reach the SDK.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('OPENAI_') || name.toUpperCase().endsWith('_PROXY')) delete process.env[name];
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PATIENCE = 20_000;

export const UPSTREAM_KEY = 'sk-upstream-secret';
export const CLIENT_KEY = 'sk-client-of-the-gateway';
export const LIMITED_KEY = 'sk-client-with-one-model';
export const ONCE_KEY = 'sk-client-with-one-request-a-minute';
export const ALONE_KEY = 'sk-client-with-one-request-at-a-time';
export const POOR_KEY = 'sk-client-with-hardly-any-money';

const configuration = (understudy) => `
[server]
listen = "127.0.0.1:0"
default_provider = "up"

# What the understudy says is to be seen, and not what it says the second time.
[routing]
retries = 0

[providers.up]
base_url = "${understudy}/v1"
api_keys = ["${UPSTREAM_KEY}"]

# Nobody listens there.
[providers.dead]
base_url = "http://127.0.0.1:1/v1"
models = ["gpt-test"]

[models.smart]
targets = ["up/gpt-test"]

[models.first-refuses]
targets = ["up/gpt-broken", "up/gpt-test"]

[[clients]]
name = "everything"
key = "${CLIENT_KEY}"

[[clients]]
name = "limited"
key = "${LIMITED_KEY}"
models = ["smart"]

[[clients]]
name = "once"
key = "${ONCE_KEY}"
requests_per_minute = 1
tokens_per_minute = 1000

[[clients]]
name = "alone"
key = "${ALONE_KEY}"
max_concurrent = 1

[[clients]]
name = "poor"
key = "${POOR_KEY}"
budget = { usd = 0.0003, per = "month" }
`;

/** Starts both for one file of tests, and stops them after it. */
export async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'mynah-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const understudy = new Understudy(
    await run('UNDERSTUDY_BIN', 'mynah-understudy', ['serve', '--listen', '127.0.0.1:0'], folder),
  );
  writeFileSync(join(folder, 'mynah.toml'), configuration(understudy.url));
  const gateway = await run('MYNAH_BIN', 'mynah', [], folder);
  // It does not try again, so that a test sees what the gateway does.
  const connect = (options) =>
    new OpenAI({ baseURL: `${gateway}/v1`, apiKey: CLIENT_KEY, maxRetries: 0, timeout: PATIENCE, ...options });
  // The list is complete only when the providers have been asked for their models.
  await connect().models.list();
  beforeEach(() => understudy.reset());
  return { understudy, connect, client: connect() };
}

/** Starts a binary that says on standard output where it listens, and returns that. */
async function run(variable, name, args, cwd) {
  const binary = resolvePath(ROOT, process.env[variable] || `target/debug/${name}`);
  const child = spawn(binary, args, { cwd, env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
  after(() => child.kill('SIGKILL'));
  let complaints = '';
  child.stderr.on('data', (data) => (complaints += data));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`${name} did not start:\n${complaints}`)));
    createInterface(child.stdout).on('line', (line) => {
      const url = line.match(/http:\/\/127\.0\.0\.1:\d+/);
      if (url) resolve(url[0]);
    });
  });
}

/** The fake provider. Without rules, its persona answers as OpenAI would. */
class Understudy {
  constructor(url) {
    this.url = url;
  }

  /** Has it answer requests that meet the conditions (`path`, `model`, ...) with these replies in turn. */
  async on(conditions, ...replies) {
    this.rules.push({ ...conditions, replies });
    await this.#putScript();
  }

  async reset() {
    this.rules = [];
    await this.#putScript();
    await this.#call('DELETE', 'received');
  }

  async received() {
    const entries = await (await this.#call('GET', 'received')).json();
    return entries.map((entry) => ({
      ...entry,
      headers: Object.fromEntries(entry.headers.map(([name, value]) => [name.toLowerCase(), value])),
      body: Buffer.from(entry.body_text ?? entry.body_base64, entry.body_text === undefined ? 'base64' : 'utf8'),
    }));
  }

  async #putScript() {
    const rule = (rule) => ['[[rule]]', ...Object.entries(rule).map(([key, value]) => `${key} = ${toml(value)}`)].join('\n');
    await this.#call('PUT', 'script', this.rules.map(rule).join('\n'));
  }

  async #call(method, name, body) {
    const response = await fetch(`${this.url}/__understudy/${name}`, { method, body });
    if (!response.ok) throw new Error(await response.text());
    return response;
  }
}

function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `{ ${Object.entries(value).map(([key, item]) => `${toml(key)} = ${toml(item)}`).join(', ')} }`;
}

export function errorReply(status, more = {}) {
  const error = { message: 'Something went wrong.', type: 'some_type', param: 'some_param', code: 'some_code' };
  return { body: JSON.stringify({ error }), status, ...more };
}

export function chunk(delta, finish_reason = null) {
  const choices = [{ index: 0, delta, finish_reason }];
  return `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices })}`;
}

export const DONE = 'data: [DONE]';
export const HELLO = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'Hel' }), chunk({ content: 'lo' })];

/** Waits until something that happens in another process is so. */
export async function eventually(condition) {
  const deadline = Date.now() + PATIENCE;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it did not happen in time');
    await pause(10);
  }
}
