/** The SQL editor. It lives in a shadow root, where its style sheets are adopted, so that the page's policy holds. */

import { autocompletion, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { PostgreSQL, sql } from '@codemirror/lang-sql';
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { tags } from '@lezer/highlight';

/** The table's columns, for completion. */
const SCHEMA = {
  events: ['event_id', 'application_id', 'session_id', 'visitor_id', 'category', 'name', 'data', 'timestamp', 'received_at', 'schema_version'],
};

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--accent)', fontWeight: '600' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: tags.number, color: 'var(--warn)' },
  { tag: tags.comment, color: 'var(--muted)' },
]);

const look = EditorView.theme({
  '&': { fontSize: '14px', color: 'var(--text)', backgroundColor: 'var(--card)' },
  '&.cm-focused': { outline: '3px solid var(--accent)', outlineOffset: '2px' },
  '.cm-content': { fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, monospace', padding: '12px', minHeight: '130px', caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-selectionBackground, &.cm-focused .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--accent) 28%, transparent) !important' },
  '.cm-tooltip': { backgroundColor: 'var(--raised)', color: 'var(--text)', border: '1px solid var(--line)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
});

export interface Editor {
  text(): string;
  set(text: string): void;
  destroy(): void;
}

/** Puts an editor into `host`. `run` is called by Ctrl+Enter. Escape, then Tab leaves the field. */
export function createEditor(host: HTMLElement, { text, label, run }: { text: string; label: string; run: () => void }): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const state = (doc: string) => EditorState.create({
    doc,
    extensions: [
      keymap.of([{ key: 'Mod-Enter', run: () => (run(), true) }, ...completionKeymap, ...defaultKeymap, ...historyKeymap]),
      history(),
      sql({ dialect: PostgreSQL, schema: SCHEMA, upperCaseKeywords: true }),
      autocompletion(),
      syntaxHighlighting(colours),
      look,
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
    ],
  });
  const view = new EditorView({ state: state(text), parent: root, root });
  return { text: () => view.state.doc.toString(), set: (doc) => view.setState(state(doc)), destroy: () => view.destroy() };
}
