/** The reference of the HTTP API, made from the server's own OpenAPI document. */

import { build } from './docs-build.js';
import { forgetSamples } from './docs-code.js';
import { markdown } from './docs-markdown.js';
import { section } from './docs-operation.js';
import { useComponents } from './docs-schema.js';

const SPEC = '/api/v1/openapi.json';
const START = 'quick-start';
const $ = (id) => document.getElementById(id);
const wide = matchMedia('(min-width: 800px)');

/** Operations by tag, in the order of the document's tags. */
function readTags({ tags, paths }) {
  const byTag = new Map(tags.map(({ name, description }) => [name, { name, description, id: name.replaceAll(' ', '-'), operations: [] }]));
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      byTag.get(operation.tags[0]).operations.push({ id: operation.operationId, method, path, operation });
    }
  }
  const order = ['post', 'get', 'put', 'patch', 'delete'];
  const rank = ({ method, path }) => [path.split('/').length, path, order.indexOf(method)];
  for (const { operations } of byTag.values()) {
    operations.sort((one, other) => {
      const [a, b] = [rank(one), rank(other)];
      return a[0] - b[0] || a[1].localeCompare(b[1]) || a[2] - b[2];
    });
  }
  return [...byTag.values()].filter(({ operations }) => operations.length > 0);
}

/** The pages: the introduction, and one for each tag. */
class Reference {
  constructor(description) {
    this.description = description;
    this.tags = readTags(description);
    useComponents(description.components);
    this.introduction = markdown(description.info.description, 2);
    this.headings = this.introduction.filter(({ tagName, id }) => tagName === 'H2' && id);
    this.shown = null;
  }

  /** The tag that an id belongs to; null for the introduction. */
  tagOf(id) {
    return this.tags.find((tag) => tag.id === id || tag.operations.some((operation) => operation.id === id)) ?? null;
  }

  show(id) {
    const tag = this.tagOf(id);
    const content = $('content');
    if (this.shown !== (tag?.id ?? START)) {
      this.shown = tag?.id ?? START;
      forgetSamples();
      if (tag) content.replaceChildren(...this.tagPage(tag));
      else content.replaceChildren(...this.startPage());
      document.title = tag ? `${tag.name} · Eyeline API` : 'Eyeline API';
    }
    for (const link of document.querySelectorAll('#contents a')) {
      if (link.hash === `#${id}`) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
    for (const group of document.querySelectorAll('#contents details')) {
      if (group.dataset.tag === tag?.id) group.open = true;
      else if (!$('search').value) group.open = false;
    }
    const target = id !== START && $(id);
    if (target) target.scrollIntoView();
    else scrollTo(0, 0);
  }

  startPage() {
    // The blocks of the introduction have tabs that have to be made anew.
    const { info } = this.description;
    const [lead, ...others] = markdown(info.description, 2);
    return [build('div.prose', {}, build('h1', {}, `${info.title} API`), build('div.lead', {}, lead), others)];
  }

  tagPage({ name, description, operations }) {
    const { security } = this.description;
    return [
      build('div.prose', {}, build('h1', {}, name[0].toUpperCase() + name.slice(1)), build('div.lead', {}, markdown(description))),
      ...operations.map((operation) => section(operation, security)),
    ];
  }

  contents() {
    const entry = (id, ...text) => build('li', {}, build('a', { href: `#${id}` }, text));
    const start = build('ul.start', {}, this.headings.map((heading) => entry(heading.id, heading.textContent)));
    const tags = this.tags.map(({ id, name, operations }) =>
      build(
        'details',
        { 'data-tag': id },
        build('summary', {}, name[0].toUpperCase() + name.slice(1)),
        build('ul', {}, operations.map((one) => this.searchable(entry(one.id, one.operation.summary), one))),
      ),
    );
    const nothing = build('p.nothing', { id: 'nothing', hidden: true, role: 'status' }, 'No operation has these words.');
    return [start, ...tags, nothing];
  }

  searchable(item, { id, method, path, operation }) {
    item.dataset.words = `${operation.summary} ${id} ${method} ${path}`.toLowerCase();
    return item;
  }
}

function search(reference) {
  const words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of document.querySelectorAll('#contents details')) {
    const items = [...group.querySelectorAll('li')];
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
    const left = items.filter((item) => !item.hidden).length;
    found += left;
    group.hidden = left === 0;
    group.open = words.length > 0 ? left > 0 : group.dataset.tag === reference.shown;
  }
  document.querySelector('#contents .start').hidden = words.length > 0;
  $('nothing').hidden = found > 0;
}

function menu() {
  const button = document.querySelector('.menu');
  const set = (open) => {
    button.setAttribute('aria-expanded', String(open));
    document.body.classList.toggle('open', open);
  };
  button.addEventListener('click', () => set(button.getAttribute('aria-expanded') !== 'true'));
  document.addEventListener('keydown', (event) => event.key === 'Escape' && set(false));
  $('nav').addEventListener('click', (event) => event.target.closest('a') && !wide.matches && set(false));
}

async function start() {
  const response = await fetch(SPEC);
  if (!response.ok) throw new Error(`${SPEC} was answered with ${response.status}.`);
  const reference = new Reference(await response.json());
  $('contents').append(...reference.contents());
  const go = () => reference.show(decodeURIComponent(location.hash.slice(1)) || START);
  addEventListener('hashchange', go);
  $('search').addEventListener('input', () => search(reference));
  menu();
  go();
}

start().catch((error) => {
  $('problem').textContent = `The description of the API cannot be shown: ${error.message}`;
  $('problem').hidden = false;
});
