/** Shows the server's own OpenAPI document with RapiDoc, in the colours of the rest of the page. */

import { api } from './api.js';
import { $, say, wordsOf } from './dom.js';

const SPEC = '/api/v1/openapi.json';

/** RapiDoc takes colours as attributes, not from the cascade. */
const COLOURS = {
  light: { 'bg-color': '#f6f6f3', 'text-color': '#1a1c20', 'primary-color': '#1c3faa', 'nav-bg-color': '#ffffff' },
  dark: { 'bg-color': '#101216', 'text-color': '#e8e9ed', 'primary-color': '#93b2ff', 'nav-bg-color': '#191c22' },
};

const SETTINGS = {
  'show-header': 'false',
  'load-fonts': 'false',
  'regular-font': 'system-ui, sans-serif',
  'mono-font': 'ui-monospace, Menlo, Consolas, monospace',
  'font-size': 'large',
  'schema-style': 'table',
  'show-method-in-nav-bar': 'as-plain-text',
  'allow-spec-url-load': 'false',
  'allow-spec-file-load': 'false',
  'allow-server-selection': 'false',
  'fetch-credentials': 'same-origin',
  'persist-auth': 'false',
};

/** RapiDoc lays the credentials of an operation over its heading; here they get lines of their own. */
const CREDENTIALS = `
  [style*="position:absolute; top:3px"] { position: static !important; margin: 8px 0; }
  [style*="min-width:350px"] { min-width: 0 !important; max-width: none !important; justify-content: flex-start !important; flex-wrap: wrap; row-gap: 4px; }
`;

const dark = matchMedia('(prefers-color-scheme: dark)');
/** Below this width RapiDoc hides its list of operations, so all of them have to stand on the page. */
const narrow = matchMedia('(max-width: 800px)');

function colour(element) {
  const theme = dark.matches ? 'dark' : 'light';
  element.setAttribute('theme', theme);
  for (const [name, value] of Object.entries(COLOURS[theme])) element.setAttribute(name, value);
}

async function start() {
  const element = document.createElement('rapi-doc');
  for (const [name, value] of Object.entries(SETTINGS)) element.setAttribute(name, value);
  element.setAttribute('render-style', narrow.matches ? 'view' : 'focused');
  colour(element);
  dark.addEventListener('change', () => colour(element));
  // Loaded here rather than by RapiDoc, so that a failure is said in our words; one request, not two.
  const [response] = await Promise.all([fetch(SPEC), import('/vendor/rapidoc-min.js')]);
  if (!response.ok) throw new Error(`${SPEC} was answered with ${response.status}`);
  const description = await response.json();
  $('#reference').append(element);
  await element.loadSpec(description);
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CREDENTIALS);
  element.shadowRoot.adoptedStyleSheets = [...element.shadowRoot.adoptedStyleSheets, sheet];
}

async function tellWho() {
  const { signed_in: signedIn } = await api.session();
  $('#who').textContent = signedIn
    ? 'You are signed in: requests sent from here act as the admin.'
    : 'Sign in on the first page, or give a key under Authentication, to send requests from here.';
}

start().catch((error) => say($('#problem'), `The description of the API cannot be shown: ${wordsOf(error)}`));
tellWho().catch(() => {});
