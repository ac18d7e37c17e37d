// The `@anthropic-ai/sdk`.

import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { CITY, Report, TOOLS, cells } from './cells.js';
import { start } from './stage.js';

const stage = await start();
const sdk = new Anthropic({ baseURL: stage.base('anthropic'), apiKey: stage.key, maxRetries: 0 });

async function answered(way, request) {
  if (way === 'whole') return sdk.messages.create(request);
  return sdk.messages.stream(request).finalMessage();
}

const thought = (thinking) => thinking && { thinking: { type: 'enabled', budget_tokens: 2048 } };
const textOf = (message) => message.content.map((block) => block.text ?? '').join('');

cells({
  name: 'anthropic',
  column: 'claude',
  stopped: 'end_turn',
  showsThoughts: true,
  model: stage.model,
  check: (error) => ({ status: error.status, retryAfter: error.headers?.get('retry-after') }),

  async ask(way, model, { text, thinking }) {
    const messages = [{ role: 'user', content: text }];
    const message = await answered(way, { model, max_tokens: 4096, messages, ...thought(thinking) });
    const block = message.content.find((block) => block.type === 'thinking');
    const usage = { input: message.usage.input_tokens, output: message.usage.output_tokens };
    return { text: textOf(message), thinking: block?.thinking, finish: message.stop_reason, usage };
  },

  async loop(way, model, { text, tools, thinking }) {
    const offered = tools.map((name) => ({ name, input_schema: CITY }));
    const request = { model, max_tokens: 4096, tools: offered, ...thought(thinking) };
    const messages = [{ role: 'user', content: text }];
    const { content } = await answered(way, { ...request, messages });
    const uses = content.filter((block) => block.type === 'tool_use');
    const result = ({ id, name }) => ({ type: 'tool_result', tool_use_id: id, content: TOOLS[name] ?? 'nothing' });
    const results = uses.map(result);
    messages.push({ role: 'assistant', content }, { role: 'user', content: results });
    const answer = await answered(way, { ...request, messages });
    return { text: textOf(answer), calls: uses.map((use) => [use.name, use.input]) };
  },

  async parse(model, text) {
    const output_config = { format: zodOutputFormat(Report) };
    const messages = [{ role: 'user', content: text }];
    return (await sdk.messages.parse({ model, max_tokens: 1024, messages, output_config })).parsed_output;
  },
});
