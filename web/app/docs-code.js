/** Blocks of code: coloured, to copy, and one of several languages at a time. */

import { build } from './docs-build.js';

const LANGUAGE = 'eyeline-docs-language';
const COMMENT = { shell: '#[^\\n]*', javascript: '//[^\\n]*', python: '#[^\\n]*', json: '(?!)' };
const WORDS = {
  shell: 'curl|jq|until|do|done|while|if|then|fi|sleep|export',
  javascript: 'import|from|const|let|await|async|function|return|if|throw|new|for|of|try|catch|typeof|instanceof',
  python: 'import|from|def|return|if|for|in|with|as|try|except|print|None|True|False|not|while|raise|class',
  json: 'true|false|null',
};
const KINDS = { sh: 'shell', bash: 'shell', curl: 'shell', js: 'javascript', py: 'python' };

const kindOf = (language) => {
  const name = language.toLowerCase();
  return KINDS[name] ?? name;
};

/** The text as coloured pieces. */
function coloured(text, language) {
  const kind = kindOf(language);
  if (!WORDS[kind]) return [text];
  const pattern = new RegExp(
    `(?<text>"(?:[^"\\\\]|\\\\.)*"|'(?:[^'\\\\]|\\\\.)*'|\`[^\`]*\`)|(?<comment>(?<![\\S])${COMMENT[kind]})` +
      `|(?<word>\\b(?:${WORDS[kind]})\\b)|(?<number>\\b\\d+(?:\\.\\d+)?\\b)`,
    'g',
  );
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    const [type] = Object.entries(match.groups).find(([, found]) => found !== undefined);
    pieces.push(text.slice(at, match.index), build(`span.${type}`, {}, match[0]));
    at = match.index + match[0].length;
  }
  return [...pieces, text.slice(at)];
}

/** A block of code with a button that copies it. */
export function code(text, language, label = '') {
  const button = build('button.copy', { type: 'button', 'aria-label': label ? `Copy ${label}` : 'Copy' }, 'Copy');
  button.addEventListener('click', async () => {
    const said = await navigator.clipboard.writeText(text).then(() => 'Copied', () => 'Not copied');
    button.textContent = said;
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });
  const body = build('pre', { tabindex: 0, role: 'group', 'aria-label': label || `${language} code` }, build('code', {}, coloured(text, language)));
  return build('div.code', {}, button, body);
}

/** The language that the reader chose last; every group of samples on the page shows it. */
let chosen = 'curl';
try {
  chosen = localStorage.getItem(LANGUAGE) ?? chosen;
} catch {
  // A browser that stores nothing: the choice holds as long as the page.
}
const groups = new Set();

function choose(label) {
  chosen = label;
  try {
    localStorage.setItem(LANGUAGE, label);
  } catch {
    // As above.
  }
  for (const show of groups) show();
}

/** Forgets the groups of a page that is no longer shown. */
export const forgetSamples = () => groups.clear();

let count = 0;

/** Samples of the same thing, `[{label, source}]`, of which one is shown; what the choice lacks falls back to the first. */
export function samples(all, title) {
  const id = `samples-${(count += 1)}`;
  const tabs = all.map(({ label }, index) =>
    build('button', { type: 'button', role: 'tab', id: `${id}-${index}`, 'aria-controls': `${id}-panel`, onclick: () => choose(label) }, label),
  );
  const panel = build('div', { role: 'tabpanel', id: `${id}-panel` });
  const list = build('div.tabs', { role: 'tablist', 'aria-label': `Language of the example: ${title}` }, tabs);
  list.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
    choose(all[next].label);
    tabs[next].focus();
  });
  const show = () => {
    const at = Math.max(0, all.findIndex(({ label }) => label === chosen));
    tabs.forEach((tab, index) => {
      tab.setAttribute('aria-selected', String(index === at));
      tab.tabIndex = index === at ? 0 : -1;
    });
    panel.setAttribute('aria-labelledby', tabs[at].id);
    panel.replaceChildren(code(all[at].source, all[at].label, `${title} in ${all[at].label}`));
  };
  groups.add(show);
  show();
  return build('div.samples', {}, list, panel);
}
