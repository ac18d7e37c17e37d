// Starts the understudy, and the gateway in front of it, for one file of tests.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { UPSTREAMS } from './upstreams.js';

// Keys, addresses and proxies of the machine must not reach the SDKs.
for (const name of Object.keys(process.env)) {
  if (/^(OPENAI|ANTHROPIC|GEMINI|GOOGLE)_|_PROXY$/i.test(name)) delete process.env[name];
}

/** The SDKs speak to the understudy, each in its own dialect only: proves that the expectations are right. */
export const DIRECT = process.env.MATRIX_DIRECT === '1';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const UPSTREAM_KEY = 'sk-upstream-secret';
const CLIENT_KEY = 'sk-client-of-the-gateway';

const SERVER = `
[server]
listen = "127.0.0.1:0"

# What the understudy says is to be seen, and not what it says the second time.
[routing]
retries = 0

[[clients]]
name = "matrix"
key = "${CLIENT_KEY}"
`;

const provider = (upstream, understudy) => `
[providers.${upstream.name}]
${upstream.kind}
base_url = "${understudy}/as/${upstream.persona}"
api_keys = ["${UPSTREAM_KEY}"]
`;

/** Where a client of one dialect sends what it sends. */
export async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'mynah-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const understudy = await run('UNDERSTUDY_BIN', 'mynah-understudy', ['serve', '--listen', '127.0.0.1:0'], folder);
  if (DIRECT) {
    const base = (persona) => `${understudy}/as/${persona.replace(/\/v1$/, '')}`;
    return { base, key: UPSTREAM_KEY, model: (_, model) => model };
  }
  const providers = UPSTREAMS.map((upstream) => provider(upstream, understudy));
  writeFileSync(join(folder, 'mynah.toml'), SERVER + providers.join(''));
  const gateway = await run('MYNAH_BIN', 'mynah', [], folder);
  return { base: () => gateway, key: CLIENT_KEY, model: (upstream, model) => `${upstream.name}/${model}` };
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
