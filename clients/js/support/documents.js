/** Runs the code blocks of the documentation as they are printed. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const PROGRAM_MS = 300_000;
/** Ends the output of a block of a shell program. */
const END = '\u001e';

/** Every document whose blocks are run. */
export const DOCUMENTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).sort().map((name) => `docs/${name}`),
  'clients/js/README.md',
  'clients/python/README.md',
  'crates/eyeline/src/api/openapi/quick_start.md',
];

/** The code blocks of a document: `{heading, kind, code, line}`. */
export function blocks(path) {
  const found = [];
  let heading = '';
  let block = null;
  for (const [index, line] of readFileSync(join(ROOT, path), 'utf8').split('\n').entries()) {
    if (block && line === '```') block = found.push(block) && null;
    else if (block) block.code += `${line}\n`;
    else if (line.startsWith('#')) heading = line.replace(/^#+ (\d+\. )?/, '');
    else if (line.startsWith('```')) block = { heading, kind: line.slice(3).trim(), code: '', line: index + 1 };
  }
  assert.equal(block, null, `${path}: a block that does not end`);
  return found;
}

/** A folder in which a document's programs run: with the picture and the Makefile of the repository, `files`, and `links`. */
export function workplace(files, links) {
  const folder = mkdtempSync(join(tmpdir(), 'eyeline-documents-'));
  copyFileSync(join(ROOT, 'hello.jpg'), join(folder, 'hello.jpg'));
  for (const [name, body] of Object.entries(files)) writeFileSync(join(folder, name), body);
  for (const [name, target] of Object.entries({ Makefile: join(ROOT, 'Makefile'), ...links })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    symlinkSync(target, join(folder, name));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Runs a program to its end; gives what it printed. */
function run(command, words, input, { cwd, env }) {
  const others = Object.entries(process.env).filter(([name]) => !name.startsWith('EYELINE_'));
  const options = { cwd, env: { ...Object.fromEntries(others), ...env }, timeout: PROGRAM_MS, killSignal: 'SIGKILL' };
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, options);
    let [printed, told] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (told += text));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve({ printed, told });
      else reject(new Error(`${command} ended with ${code ?? signal}:\n${told}\n${printed.slice(-4000)}`));
    });
    child.stdin.end(input);
  });
}

/** The blocks as one program of bash; gives what each printed. A reader's shell forgets nothing between two blocks. */
export async function runShell(programs, place) {
  const script = programs.map((code) => `${code}\nprintf '${END}'\n`).join('');
  // `make` only says what it would run: a document's `make test` runs these tests.
  const env = { MAKEFLAGS: 'n', ...place.env };
  const { printed } = await run('bash', ['-euo', 'pipefail', '-c', script], '', { ...place, env });
  return printed.split(END).slice(0, -1);
}

/** The blocks as one module of Node. */
export async function runNode(programs, place) {
  const { printed } = await run(process.execPath, ['--input-type=module'], programs.join('\n'), place);
  return printed;
}

/** The blocks as one program of Python. */
export async function runPython(python, programs, place) {
  const { printed } = await run(python, ['-W', 'error', '-'], programs.join('\n'), place);
  return printed;
}

/** What differs from one run to the next. */
const PASSING = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME'],
  [/https?:\/\/[^\s"]+/g, 'URL'],
];
const masked = (text) => PASSING.reduce((text, [pattern, word]) => text.replace(pattern, word), text);

/** Fails where an answer is not as printed. Ids, times and addresses differ; `…` stands for any value, or any part of a text. */
export function assertAsPrinted(printed, real, where = '') {
  if (printed === '…') {
    assert.ok(real !== null && real !== undefined, where);
  } else if (Array.isArray(printed) && Array.isArray(real)) {
    assert.equal(real.length, printed.length, `${where}: the number of elements of ${JSON.stringify(real)}`);
    printed.forEach((value, index) => assertAsPrinted(value, real[index], `${where}[${index}]`));
  } else if (printed !== null && typeof printed === 'object') {
    assert.deepEqual(Object.keys(real ?? {}).sort(), Object.keys(printed).sort(), `${where}: the fields of ${JSON.stringify(real)}`);
    for (const [name, value] of Object.entries(printed)) assertAsPrinted(value, real[name], `${where}.${name}`);
  } else if (typeof printed === 'string' && typeof real === 'string') {
    const pattern = masked(printed).split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
    assert.match(masked(real), new RegExp(`^${pattern}$`, 's'), where);
  } else {
    assert.deepEqual(real, printed, where);
  }
}
