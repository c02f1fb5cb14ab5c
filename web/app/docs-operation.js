/** One operation: what it does and takes, what it answers, and examples beside it. */

import { build } from './docs-build.js';
import { code, samples } from './docs-code.js';
import { markdown } from './docs-markdown.js';
import { exampleOf, field, fieldList, resolve } from './docs-schema.js';
import { tryForm } from './docs-try.js';

const CREDENTIALS = {
  key: 'the admin key or a secret key',
  user_token: 'a user token',
  application: 'the id of an application',
  session: null,
  application_parameter: null,
};
const JSON_TYPE = 'application/json';

/** What an operation may be called with, as a sentence. */
function credentials({ security }, preset) {
  const names = (security ?? preset).flatMap((requirement) => Object.keys(requirement));
  const words = [...new Set(names)].map((name) => CREDENTIALS[name]).filter(Boolean);
  if (words.length === 0) return 'Needs no credential.';
  return `Takes ${words.length > 1 ? `${words.slice(0, -1).join(', ')} or ` : ''}${words.at(-1)}.`;
}

const part = (title, ...children) => build('div.part', {}, build('h3', {}, title), children);

function parameters(operation, where, title) {
  const found = (operation.parameters ?? []).filter((parameter) => parameter.in === where);
  if (found.length === 0) return null;
  const items = found.map(({ name, schema, required, description }) => field(name, schema, { required, description }));
  return part(title, build('ul.fields', {}, items));
}

function body({ requestBody }) {
  if (!requestBody) return null;
  const kinds = Object.keys(requestBody.content);
  const { schema } = requestBody.content[JSON_TYPE] ?? requestBody.content[kinds[0]];
  const { type, items } = resolve(schema);
  const fields = fieldList(type === 'array' ? items : schema);
  const form = build('p.kinds', {}, kinds.flatMap((kind, index) => [index ? ', ' : '', build('code', {}, kind)]));
  return part(type === 'array' ? 'Body: a list of' : 'Body', form, requestBody.description && markdown(requestBody.description), fields);
}

function answers({ responses }) {
  const isProblem = (status) => status >= '400';
  const all = Object.entries(responses);
  const good = all.filter(([status]) => !isProblem(status)).map(([status, { description, content, headers }]) => {
    const [media] = Object.values(content ?? {});
    const schema = media && resolve(media.schema);
    const fields = media && fieldList(schema.type === 'array' ? schema.items : schema, { answered: true });
    const more = headers && Object.entries(headers).map(([name, header]) => field(name, header.schema ?? {}, { description: header.description }));
    return build(
      'li.answer',
      {},
      build('p.name', {}, build('code', {}, status), ' ', description),
      fields && build('details', {}, build('summary', {}, 'Fields'), fields),
      more && build('details', {}, build('summary', {}, 'Headers'), build('ul.fields', {}, more)),
    );
  });
  const bad = all.filter(([status]) => isProblem(status));
  const rows = bad.map(([status, { description }]) => build('tr', {}, build('td', {}, build('code', {}, status)), build('td', {}, description)));
  return [
    part('Answers', build('ul.answers', {}, good)),
    rows.length > 0 &&
      part(
        'Errors',
        build('p', {}, 'Each is a ', build('a', { href: '#errors' }, 'problem document'), '.'),
        build('table', {}, build('thead', {}, build('tr', {}, build('th', { scope: 'col' }, 'Status'), build('th', { scope: 'col' }, 'When'))), build('tbody', {}, rows)),
      ),
  ];
}

/** The answer that an operation gives as a rule, as code. */
function answered({ responses }, title) {
  const found = Object.entries(responses).find(([status, { content }]) => status < '300' && content?.[JSON_TYPE]);
  if (!found) return null;
  const [status, { content }] = found;
  return [build('h3', {}, `Answer ${status}`), code(JSON.stringify(exampleOf(content[JSON_TYPE].schema), null, 2), 'json', `the answer of “${title}”`)];
}

/** The section of an operation. */
export function section({ id, method, path, operation }, preset) {
  const title = operation.summary;
  return build(
    'section.operation',
    { id, 'aria-labelledby': `${id}-title` },
    build(
      'div.about',
      {},
      build('h2', { id: `${id}-title` }, build('a', { href: `#${id}` }, title)),
      build('p.address', {}, build(`span.method.${method}`, {}, method.toUpperCase()), ' ', build('code', {}, path)),
      operation.description && markdown(operation.description, 3),
      build('p.credentials', {}, credentials(operation, preset)),
      parameters(operation, 'path', 'Path'),
      parameters(operation, 'query', 'Query'),
      body(operation),
      parameters(operation, 'header', 'Headers'),
      answers(operation),
    ),
    build('div.examples', {}, build('div.beside', {}, samples(operation['x-codeSamples'], title), answered(operation, title), tryForm({ id, method, path, operation }))),
  );
}
