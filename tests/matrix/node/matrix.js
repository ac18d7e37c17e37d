// Counts the cells at the end: client by provider. With MATRIX_FILE, writes the table there too.

import { writeFileSync } from 'node:fs';
import { UPSTREAMS, cellOf } from './upstreams.js';

export default async function* matrix(events) {
  const rows = new Map();
  for await (const { type, data } of events) {
    const cell = (type === 'test:pass' || type === 'test:fail') && cellOf(data.name);
    if (!cell) continue;
    const row = rows.get(cell.client) ?? new Map();
    const [passed, all] = row.get(cell.upstream) ?? [0, 0];
    rows.set(cell.client, row.set(cell.upstream, [passed + (type === 'test:pass'), all + 1]));
  }
  const table = written([...rows].sort());
  if (process.env.MATRIX_FILE) writeFileSync(process.env.MATRIX_FILE, table);
  yield `\nmatrix: cells that passed, of all\n${table}`;
}

function written(rows) {
  const names = UPSTREAMS.map((upstream) => upstream.name);
  const count = (row, name) => row.get(name)?.join('/') ?? '–';
  const lines = rows.map(([client, row]) => [client, ...names.map((name) => count(row, name))]);
  const all = [['client', ...names], ['', ...names].map(() => '---'), ...lines];
  return all.map((line) => `| ${line.join(' | ')} |\n`).join('');
}
