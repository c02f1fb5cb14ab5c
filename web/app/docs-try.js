/** A form that sends a request to this server and shows what it answers. */

import { build } from './docs-build.js';
import { code } from './docs-code.js';
import { exampleOf } from './docs-schema.js';

const BODY_SHOWN_MAX = 20_000;

/** The key that the reader gave; kept in memory alone. Without one, the browser's own sign-in counts. */
let key = '';

function send({ method, path, operation }, values, body) {
  let address = path;
  const query = new URLSearchParams();
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  for (const { name, in: where } of operation.parameters ?? []) {
    const value = values[`${where}:${name}`];
    if (where === 'path') address = address.replace(`{${name}}`, encodeURIComponent(value ?? ''));
    else if (!value) continue;
    else if (where === 'query') query.set(name, value);
    else headers[name] = value;
  }
  if (typeof body === 'string') headers['Content-Type'] = 'application/json';
  const asked = query.size > 0 ? `${address}?${query}` : address;
  return fetch(asked, { method: method.toUpperCase(), headers, body: body || undefined, credentials: 'same-origin' });
}

async function shown(response) {
  const type = response.headers.get('Content-Type') ?? '';
  const status = build('p.status', {}, build('strong', {}, `${response.status} ${response.statusText}`), ' ', build('span.type', {}, type));
  if (type.startsWith('image/')) {
    const picture = build('img', { alt: 'The picture that was answered', src: URL.createObjectURL(await response.blob()) });
    picture.addEventListener('load', () => URL.revokeObjectURL(picture.src));
    return [status, picture];
  }
  let text = await response.text();
  if (type.includes('json')) text = JSON.stringify(JSON.parse(text), null, 2);
  if (text.length > BODY_SHOWN_MAX) text = `${text.slice(0, BODY_SHOWN_MAX)}\n… ${text.length - BODY_SHOWN_MAX} more characters`;
  return text ? [status, code(text, type.includes('json') ? 'json' : 'text', 'the answer')] : [status];
}

function inputs({ id, operation }) {
  return (operation.parameters ?? []).map(({ name, in: where, required }) => {
    const own = `${id}-${where}-${name}`;
    const input = build('input', { id: own, name: `${where}:${name}`, required: required === true, autocomplete: 'off', spellcheck: 'false' });
    return build('div.input', {}, build('label', { for: own }, name, required && build('span.required', {}, ' required')), input);
  });
}

function bodyInput({ id, operation }) {
  const content = operation.requestBody?.content;
  if (!content) return null;
  const own = `${id}-body`;
  if (content['application/json']) {
    const [{ source }] = operation['x-codeSamples'];
    const example = /-d '([\s\S]*)'$/.exec(source)?.[1].replaceAll("'\\''", "'") ?? JSON.stringify(exampleOf(content['application/json'].schema), null, 2);
    return build('div.input', {}, build('label', { for: own }, 'Body'), build('textarea', { id: own, name: 'body', rows: 6, spellcheck: 'false' }, example));
  }
  const name = content['multipart/form-data'] ? 'form' : 'file';
  return build('div.input', {}, build('label', { for: own }, 'File'), build('input', { id: own, name, type: 'file' }));
}

const fileField = (path) => (path.endsWith('/incoming') ? 'file' : 'data');

/** What the form's body is: a text, a file, a form with a file, or nothing. */
function bodyOf(form, path) {
  const { body, file, form: picked } = form.elements;
  if (body) return body.value;
  if (file) return file.files[0];
  if (!picked) return undefined;
  const data = new FormData();
  if (picked.files[0]) data.append(fileField(path), picked.files[0]);
  return data;
}

/** The form of an operation, closed at first. A stream has none: it would never end. */
export function tryForm(given) {
  const { id, path, operation, method } = given;
  if (operation.responses['200']?.content?.['text/event-stream']) return null;
  const result = build('div.result', { role: 'status' });
  const secret = build('input', { id: `${id}-key`, type: 'password', autocomplete: 'off', placeholder: 'without: you as you are signed in', value: key });
  const button = build('button.send', { type: 'submit' }, 'Send');
  const form = build(
    'form',
    { 'aria-label': `Try “${operation.summary}”` },
    build('div.input', {}, build('label', { for: `${id}-key` }, 'Key'), secret),
    inputs(given),
    bodyInput(given),
    method === 'delete' && build('p.bounds', {}, 'This deletes something real.'),
    button,
    result,
  );
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    key = secret.value.trim();
    const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === 'string'));
    try {
      result.replaceChildren(...(await shown(await send(given, values, bodyOf(form, path)))));
    } catch (error) {
      result.replaceChildren(build('p.problem', {}, `No answer: ${error.message}`));
    }
    button.disabled = false;
  });
  const details = build('details.try', {}, build('summary', {}, 'Try it'), form);
  details.addEventListener('toggle', () => details.open && (secret.value = key));
  return details;
}
