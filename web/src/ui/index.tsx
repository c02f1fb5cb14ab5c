/** The small parts that every page is made of. */

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { wordsOf } from '../api/index.js';
import { ago, time } from '../lib/format.js';
import { act, attempt, dismiss, hold, notices, type Hold } from '../state/notices.js';
import { words } from '../words/index.js';
import { Icon } from './icons.js';

export { Icon } from './icons.js';
export { Table, type Column } from './table.js';

/** A modal dialog; `onClose` is called by Escape, the close button and a click beside it. */
export function Dialog({ title, onClose, wide, children }: { title: string; onClose: () => void; wide?: boolean; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog} class={wide ? 'dialog wide' : 'dialog'} aria-labelledby={id} onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="dialog-body">
        <header class="bar">
          <h2 id={id}>{title}</h2>
          <button type="button" class="icon-button right" aria-label={words.close} onClick={onClose}><Icon name="close" /></button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, children, action, onClose, run }: { title: string; children: ComponentChildren; action: string; onClose: () => void; run: () => Promise<unknown> }) {
  const [isBusy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    if (await attempt(run)) onClose();
    else setBusy(false);
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="prose">{children}</div>
      <div class="line end">
        <button type="button" class="quiet" onClick={onClose}>{words.cancel}</button>
        <button type="button" class="primary danger" disabled={isBusy} onClick={() => void go()}>{action}</button>
      </div>
    </Dialog>
  );
}

/** A button whose work runs once at a time; its error becomes a notice. */
export function Action({ run, class: className = '', children, ...rest }: { run: () => Promise<unknown>; class?: string; children: ComponentChildren; 'aria-label'?: string; disabled?: boolean; title?: string }) {
  const [isBusy, setBusy] = useState(false);
  const work = async () => {
    setBusy(true);
    await attempt(run);
    setBusy(false);
  };
  return <button type="button" class={className} {...rest} disabled={isBusy || rest.disabled} onClick={() => void work()}>{children}</button>;
}

/** The pages within a page. */
export function Tabs({ label, tabs, open }: { label: string; tabs: [id: string, text: string, href: string][]; open: string }) {
  const bar = useRef<HTMLElement>(null);
  // On a phone the open one may be beyond the edge.
  useEffect(() => {
    const current = bar.current?.querySelector<HTMLElement>('[aria-current]');
    if (current) bar.current!.scrollLeft = current.offsetLeft - (bar.current!.clientWidth - current.offsetWidth) / 2;
  }, [open]);
  return (
    <nav class="tabs" aria-label={label} ref={bar}>
      {tabs.map(([id, text, href]) => <a key={id} href={href} aria-current={id === open ? 'page' : undefined}>{text}</a>)}
    </nav>
  );
}

/** A choice of one among few. */
export function Segments({ label, name, options, value, onChange }: { label: string; name: string; options: [value: string, text: string][]; value: string; onChange: (value: string) => void }) {
  return (
    <fieldset class="segments">
      <legend class="spoken">{label}</legend>
      {options.map(([each, text]) => (
        <label key={each}><input type="radio" name={name} checked={each === value} onChange={() => onChange(each)} /><span>{text}</span></label>
      ))}
    </fieldset>
  );
}

/** Segments; on a phone a list that opens, in one line. */
export function Choice(props: Parameters<typeof Segments>[0]) {
  const { label, options, value, onChange } = props;
  return (
    <div class="choice">
      <Segments {...props} />
      <select aria-label={label} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([each, text]) => <option key={each} value={each}>{text}</option>)}
      </select>
    </div>
  );
}

export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div class="problem-box" role="alert">
      <p>{wordsOf(error)}</p>
      {retry && <button type="button" onClick={retry}>{words.tryAgain}</button>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="empty"><h2>{title}</h2>{children}</div>;
}

export const Loading = () => <p class="loading" role="status"><span class="spinner" aria-hidden="true" />{words.loading}</p>;

/** Shows what was read, or that it is being read, or why it cannot be. */
export function Loaded<T>({ load, children }: { load: { data: T | null; error: unknown; reload: () => void }; children: (data: T) => ComponentChildren }) {
  if (load.data !== null) return <>{load.error ? <Problem error={load.error} retry={load.reload} /> : null}{children(load.data)}</>;
  return load.error ? <Problem error={load.error} retry={load.reload} /> : <Loading />;
}

/** A time in the viewer's zone, unless another is given; in UTC on hover. */
export function Time({ at, relative, timeZone }: { at: string; relative?: boolean; timeZone?: string }) {
  const utc = `${new Date(at).toISOString().replace('T', ' ').slice(0, 19)} UTC`;
  return <time dateTime={at} title={relative ? `${time(at)} · ${utc}` : utc}>{relative ? ago(at) : time(at, { dateStyle: 'medium', timeStyle: 'short', timeZone })}</time>;
}

/** A text to copy, such as a key or a command. */
export function Copyable({ text, label, block }: { text: string; label: string; block?: boolean }) {
  const [isCopied, setCopied] = useState(false);
  const code = useRef<HTMLElement>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages without HTTPS have no clipboard: the text is selected, for the keyboard's copy.
      getSelection()?.selectAllChildren(code.current!);
      return;
    }
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class={block ? 'copyable block' : 'copyable'}>
      <pre tabIndex={0} aria-label={label}><code ref={code}>{text}</code></pre>
      <button type="button" class="quiet" aria-label={`${words.copy}: ${label}`} onClick={() => void copy()}>
        <Icon name={isCopied ? 'check' : 'copy'} /><span>{isCopied ? words.copied : words.copy}</span>
      </button>
    </div>
  );
}

/** Messages at the foot of the page. */
export function Notices() {
  const holdsOf = (id: number) => {
    const by = (kind: Hold, isHeld: boolean) => () => hold(id, kind, isHeld);
    return { onPointerEnter: by('pointer', true), onPointerLeave: by('pointer', false), onFocusIn: by('focus', true), onFocusOut: by('focus', false) };
  };
  return (
    <div class="notices" role="status">
      {notices.value.map((notice) => (
        <div key={notice.id} class={notice.isProblem ? 'notice bad' : 'notice'} {...holdsOf(notice.id)}>
          <span>{notice.text}</span>
          {notice.action && <button type="button" class="quiet" onClick={() => act(notice)}>{notice.action.label}</button>}
          <button type="button" class="icon-button" aria-label={words.close} onClick={() => dismiss(notice.id)}><Icon name="close" /></button>
        </div>
      ))}
    </div>
  );
}
