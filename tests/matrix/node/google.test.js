// The `@google/genai` SDK.

import { GoogleGenAI } from '@google/genai';
import { z } from 'zod';
import { CITY, Report, TOOLS, cells } from './cells.js';
import { start } from './stage.js';

const stage = await start();
const sdk = new GoogleGenAI({ apiKey: stage.key, httpOptions: { baseUrl: stage.base('gemini') } });

/** The parts of an answer, why it ended and what it took: of all chunks, if it came in some. */
async function answered(way, request) {
  const chunks = [];
  if (way === 'whole') {
    chunks.push(await sdk.models.generateContent(request));
  } else {
    for await (const chunk of await sdk.models.generateContentStream(request)) chunks.push(chunk);
  }
  const candidates = chunks.flatMap((chunk) => chunk.candidates ?? []);
  return {
    parts: candidates.flatMap((candidate) => candidate.content?.parts ?? []),
    finish: candidates.findLast((candidate) => candidate.finishReason)?.finishReason,
    usage: chunks.at(-1).usageMetadata,
  };
}

const thought = (thinking) => thinking && { thinkingConfig: { includeThoughts: true } };
const textOf = (parts, isThought = false) =>
  parts.filter((part) => part.text && Boolean(part.thought) === isThought).map((part) => part.text).join('');

cells({
  name: 'google',
  column: 'gem',
  stopped: 'STOP',
  showsThoughts: true,
  model: stage.model,

  check(error) {
    // What the provider said stands as JSON in the message.
    const details = JSON.parse(error.message).error?.details ?? [];
    const delay = details.find((detail) => detail['@type'].endsWith('RetryInfo'))?.retryDelay;
    return { status: error.status, retryAfter: delay?.replace('s', '') };
  },

  async ask(way, model, { text, thinking }) {
    const { parts, finish, usage } = await answered(way, { model, contents: text, config: { ...thought(thinking) } });
    const output = usage.candidatesTokenCount + (usage.thoughtsTokenCount ?? 0);
    const spent = { input: usage.promptTokenCount, output };
    return { text: textOf(parts), thinking: textOf(parts, true), finish, usage: spent };
  },

  async loop(way, model, { text, tools, thinking }) {
    const functionDeclarations = tools.map((name) => ({ name, parametersJsonSchema: CITY }));
    const config = { tools: [{ functionDeclarations }], ...thought(thinking) };
    const contents = [{ role: 'user', parts: [{ text }] }];
    const { parts } = await answered(way, { model, contents, config });
    const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
    const results = calls.map(({ id, name }) => ({ id, name, response: { output: TOOLS[name] ?? 'nothing' } }));
    const said = results.map((functionResponse) => ({ functionResponse }));
    contents.push({ role: 'model', parts }, { role: 'user', parts: said });
    const answer = await answered(way, { model, contents, config });
    return { text: textOf(answer.parts), calls: calls.map((call) => [call.name, call.args ?? {}]) };
  },

  async parse(model, text) {
    const config = { responseMimeType: 'application/json', responseJsonSchema: z.toJSONSchema(Report) };
    return JSON.parse((await sdk.models.generateContent({ model, contents: text, config })).text);
  },
});
