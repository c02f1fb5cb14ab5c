/** JSON Schemas as lists of fields, and examples that fit them. */

import { build } from './docs-build.js';
import { inline, markdown } from './docs-markdown.js';

const DEPTH_MAX = 5;

let components = {};
export const useComponents = (given) => (components = given);

/** The schema behind a reference, with the parts that it is composed of in one. A part that is only `null` makes it nullable. */
export function resolve(schema = {}) {
  let { $ref, allOf, oneOf, anyOf, ...own } = schema;
  if ($ref) {
    const name = $ref.split('/').at(-1);
    own = { ...resolve(components.schemas[name]), name, ...own };
  }
  for (const part of allOf ?? []) {
    const { properties, required, ...others } = resolve(part);
    own = { ...others, ...own, properties: { ...properties, ...own.properties }, required: [...(required ?? []), ...(own.required ?? [])] };
  }
  const options = oneOf ?? anyOf;
  if (options) {
    const real = options.filter(({ type }) => type !== 'null');
    if (real.length === 1) return { ...resolve(real[0]), ...own, nullable: real.length < options.length };
    own.options = real;
  }
  if (Array.isArray(own.type)) {
    own.nullable = own.type.includes('null');
    own.type = own.type.find((type) => type !== 'null');
  }
  return own;
}

/** What a value is, in a few words. */
export function typeOf(schema) {
  const { type, format, items, options, properties } = resolve(schema);
  return (
    options?.map(typeOf).join(' or ') ??
    (type === 'array' ? `list of ${typeOf(items)}` : null) ??
    (format && !['int32', 'int64', 'double'].includes(format) ? `${type} (${format})` : null) ??
    type ??
    (properties ? 'object' : 'any value')
  );
}

/** What bounds a value, as short sentences. */
function bounds(schema) {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, default: preset, pattern } = resolve(schema);
  const between = (least, most, unit) => {
    if (most == null) return least > 1 || (least > 0 && !unit) ? `at least ${least}${unit}` : null;
    return least > 0 ? `${least} to ${most.toLocaleString('en')}${unit}` : `at most ${most.toLocaleString('en')}${unit}`;
  };
  return [
    between(minimum, maximum, ''),
    between(minLength, maxLength, ' characters'),
    between(minItems, maxItems, ' elements'),
    pattern ? `matches ${pattern}` : null,
    preset != null ? `default ${JSON.stringify(preset)}` : null,
  ].filter(Boolean);
}

/** Names of fields, those that are required first, as the document lists them. */
function ordered({ properties = {}, required = [] }) {
  const place = (name) => (required.includes(name) ? required.indexOf(name) : required.length);
  return Object.keys(properties).sort((one, other) => place(one) - place(other));
}

/**
 * Name, type, bounds and description of one field, and the fields within it. In an answer, every field is there and some are
 * null; in a request, some are required.
 */
export function field(name, schema, { required = false, answered = false, description = '' } = {}, depth = 0) {
  const whole = resolve(schema);
  const inner = whole.type === 'array' ? resolve(whole.items) : whole;
  const about = description || schema.description || (schema.$ref ? '' : whole.description) || '';
  const values = (whole.enum ?? inner.enum)?.map((value) => build('code', {}, String(value)));
  const notes = bounds(schema);
  const nested = depth < DEPTH_MAX ? fieldList(inner, { answered }, depth + 1) : null;
  return build(
    'li.field',
    {},
    build(
      'p.name',
      {},
      build('code', {}, name),
      build('span.type', {}, typeOf(schema) + (answered && whole.nullable ? ' or null' : '')),
      values && build('span.values', {}, values.flatMap((value, index) => (index ? [' ', value] : [value]))),
      required && !answered && build('span.required', {}, 'required'),
    ),
    about && markdown(about),
    notes.length > 0 && build('p.bounds', {}, inline(notes.join(' · '))),
    nested && build('details', {}, build('summary', {}, `Fields of ${name}`), nested),
  );
}

/** The fields of an object, those that are required first; null for what has no fields. */
export function fieldList(schema, { answered = false } = {}, depth = 0) {
  const whole = resolve(schema);
  if (whole.options) {
    const lists = whole.options.map((option) => fieldList(option, { answered }, depth)).filter(Boolean);
    return lists.length > 0 ? build('div', {}, lists) : null;
  }
  const { properties, required = [] } = whole;
  const items = ordered(whole).map((name) => field(name, properties[name], { required: required.includes(name), answered }, depth));
  return items.length > 0 ? build('ul.fields', {}, items) : null;
}

/** Values of fields that say nothing of theirs. */
const BY_NAME = {
  project_id: '0198c0de-0000-7000-8000-00000000a000',
  application_id: '0198c0de-0000-7000-8000-00000000a001',
  gallery_id: '0198c0de-0000-7000-8000-00000000a002',
  image_id: '0198c0de-0000-7000-8000-00000000a003',
  event_id: '0198c0de-0000-7000-8000-00000000a004',
  session_id: 'e2085be5-9137-4e4e-80b5-f1ffddc25423',
  name: 'Home',
  filename: 'hello.jpg',
  category: 'shop',
};

/** A value that fits a schema, with every field. */
export function exampleOf(schema, depth = 0, name = '') {
  const whole = resolve(schema);
  const { example, examples, default: preset, enum: values, properties, items, options, type, format, nullable } = whole;
  const given = example ?? examples?.[0] ?? preset ?? values?.[0] ?? BY_NAME[name];
  if (given !== undefined && given !== null) return given;
  if (depth > DEPTH_MAX) return null;
  if (options) return exampleOf(options[0], depth + 1);
  if (type === 'array') return [exampleOf(items, depth + 1)];
  if (properties) return Object.fromEntries(ordered(whole).map((part) => [part, exampleOf(properties[part], depth + 1, part)]));
  if (nullable) return null;
  if (type === 'string') return { uuid: '0198c0de-0000-7000-8000-00000000a000', 'date-time': '2026-03-01T12:00:00.000000Z', uri: 'https://shop.example/1.jpg' }[format] ?? '…';
  return { integer: 1, number: 0.5, boolean: true }[type] ?? {};
}
