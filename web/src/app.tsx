/** The frame around every page: navigation, banner, uploads, notices. */

import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { acceptDrops } from './lib/drop.js';
import { writes } from './lib/search.js';
import { SignIn } from './pages/sign-in.js';
import { UploadPanel } from './pages/uploads.js';
import { wordsOf } from './api/index.js';
import { isAway, isLive } from './state/live.js';
import { notify } from './state/notices.js';
import { gallery, openProject, project, projects } from './state/project.js';
import { go, href, page, projectId } from './state/route.js';
import { otherPublicUrl, session, signOut } from './state/session.js';
import { theme, type Theme } from './state/theme.js';
import { take } from './state/uploads.js';
import { Icon, Loading, Notices, Segments } from './ui/index.js';
import { later } from './ui/later.js';
import { Brand, type IconName } from './ui/icons.js';
import { NewProject } from './pages/new-project.js';
import { words } from './words/index.js';

/** True while files are held over the window. */
const isOver = signal(false);

const PAGES = {
  gallery: later(async () => (await import('./pages/gallery/index.js')).GalleryPage),
  images: later(async () => (await import('./pages/images/index.js')).ImagesPage),
  insight: later(async () => (await import('./pages/insight/index.js')).InsightPage),
  events: later(async () => (await import('./pages/events/index.js')).EventsPage),
  settings: later(async () => (await import('./pages/settings/index.js')).SettingsPage),
  welcome: later(async () => (await import('./pages/welcome.js')).Welcome),
};

const pageOf = (name: string) => PAGES[name as keyof typeof PAGES] ?? PAGES.gallery;
// Its script comes while the session is asked for.
void pageOf(page.peek()).preload().catch(() => {});

const NAV: [id: 'gallery' | 'images' | 'insight' | 'events' | 'settings', icon: IconName][] = [
  ['gallery', 'gallery'], ['images', 'images'], ['insight', 'insight'], ['events', 'events'], ['settings', 'settings'],
];

export function App() {
  useEffect(() => {
    const field = document.querySelector<HTMLInputElement>('#upload')!;
    const chosen = () => {
      void take([...field.files!]);
      field.value = '';
    };
    field.addEventListener('change', chosen);
    const stop = acceptDrops((files) => void take(files), (over) => (isOver.value = over));
    return () => (stop(), field.removeEventListener('change', chosen));
  }, []);
  if (session.value === 'unknown') return <Loading />;
  return (
    <>
      {session.value === 'out' ? <SignIn /> : <Shell />}
      <Notices />
      {isOver.value && <div class="drop-veil" aria-hidden="true"><Icon name="images" />{words.upload.drop}</div>}
    </>
  );
}

/** The dialog that a key opens over any page. */
const opened = signal<'search' | 'keys' | null>(null);

function onKeyDown(event: KeyboardEvent) {
  const wanted = ({ '/': 'search', '?': 'keys' } as const)[event.key];
  const isTaken = event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented;
  if (!wanted || isTaken || writes(event.composedPath()[0]) || document.querySelector('dialog[open]') || !project.value) return;
  event.preventDefault();
  opened.value = wanted;
}

type Overlay = ComponentType<{ onClose: () => void }>;
const OVERLAYS = { search: async () => (await import('./pages/search.js')).Search, keys: async () => (await import('./pages/search.js')).Keys };

function Shell() {
  const name = page.value;
  useEffect(() => {
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById('main')?.focus())}>{words.skip}</a>
      <Top />
      <main id="main" tabIndex={-1}>
        <Banner />
        <Content key={`${name} ${projectId.value}`} name={name} />
      </main>
      <UploadPanel />
      {opened.value && <Opened key={opened.value} load={OVERLAYS[opened.value]} />}
    </>
  );
}

/** A dialog that is loaded when it is first opened. */
function Opened({ load }: { load: () => Promise<Overlay> }) {
  const [Shown, setShown] = useState<Overlay | null>(null);
  const close = () => void (opened.value = null);
  useEffect(() => void load().then((found) => setShown(() => found), (error: unknown) => (notify(wordsOf(error), { isProblem: true }), close())), []);
  return Shown && <Shown onClose={close} />;
}

/** The gallery that is shown stays the one that Gallery and Insight are about. */
function addressOf(id: (typeof NAV)[number][0]): string {
  const shown = gallery.value?.gallery_id;
  if (id === 'gallery' && shown) return href(['gallery', shown]);
  return href([id], id === 'insight' ? { gallery: shown } : {});
}

function Top() {
  const [isMaking, setMaking] = useState(false);
  return (
    <header class="top">
      <h1><a class="brand" href={href(['gallery'])} aria-label={words.name}><Brand /><span>{words.name}</span></a></h1>
      {projects.value && projects.value.length > 0 && <ProjectPicker onNew={() => setMaking(true)} />}
      {projectId.value && (
        <nav class="pages" aria-label={words.nav.label}>
          {NAV.map(([id, icon]) => (
            <a key={id} href={addressOf(id)} aria-current={page.value === id ? 'page' : undefined}><Icon name={icon} /><span>{words.nav[id]}</span></a>
          ))}
        </nav>
      )}
      <div class="right">
        {projectId.value && <LiveDot />}
        {project.value && <button type="button" class="icon-button" aria-label={words.search.open} title={words.search.open} onClick={() => (opened.value = 'search')}><Icon name="search" /></button>}
        <button type="button" class="primary add" aria-label={words.upload.add} onClick={() => document.getElementById('upload')!.click()}><Icon name="up" /><span>{words.upload.add}</span></button>
        <More />
      </div>
      {isMaking && <NewProject onClose={() => setMaking(false)} />}
    </header>
  );
}

const NEW = 'new';

function ProjectPicker({ onNew }: { onNew: () => void }) {
  const list = projects.value!;
  const isTwice = (name: string) => list.filter((each) => each.name === name).length > 1;
  const choose = (event: { currentTarget: HTMLSelectElement }) => {
    const { value } = event.currentTarget;
    event.currentTarget.value = projectId.value ?? '';
    if (value === NEW) onNew();
    else openProject(value);
  };
  return (
    <select class="project" aria-label={words.project.label} value={projectId.value ?? ''} onChange={choose}>
      {!project.value && <option value={projectId.value ?? ''} hidden />}
      {list.map(({ project_id, name }) => <option key={project_id} value={project_id}>{isTwice(name) ? `${name} · ${project_id.slice(-4)}` : name}</option>)}
      <option value={NEW}>{words.project.new}</option>
    </select>
  );
}

function LiveDot() {
  return <span class={isLive.value ? 'live on' : 'live'} role="status">{isLive.value ? words.connection.live : words.connection.connecting}</span>;
}

function More() {
  const themes: [Theme, string][] = [['auto', words.theme.auto], ['light', words.theme.light], ['dark', words.theme.dark]];
  return (
    <details class="menu" onKeyDown={(event) => event.key === 'Escape' && (event.currentTarget.open = false)} onFocusOut={closeIfLeft}>
      <summary class="icon-button" aria-label={words.nav.more}><Icon name="menu" /></summary>
      <div class="menu-body">
        <p class="menu-title">{words.theme.label}</p>
        <Segments label={words.theme.label} name="theme" options={themes} value={theme.value} onChange={(value) => (theme.value = value as Theme)} />
        {project.value && <button type="button" onClick={() => (opened.value = 'keys')}><Icon name="keys" />{words.keys.open}</button>}
        <a href="/docs"><Icon name="api" />{words.nav.docs}</a>
        <button type="button" onClick={() => void signOut()}><Icon name="leave" />{words.nav.signOut}</button>
      </div>
    </details>
  );
}

/** Closes a menu once the focus has left it. */
function closeIfLeft({ currentTarget, relatedTarget }: FocusEvent) {
  const menu = currentTarget as HTMLDetailsElement;
  if (relatedTarget && !menu.contains(relatedTarget as Node)) menu.open = false;
}

function Banner() {
  if (isAway.value) return <p class="banner bad" role="alert">{words.connection.away}</p>;
  if (otherPublicUrl.value) return <p class="banner">{words.address(location.origin, otherPublicUrl.value)}</p>;
  return null;
}

function Content({ name }: { name: string }) {
  if (projects.value === null) return <Loading />;
  if (name === 'welcome' || (projects.value.length === 0 && !projectId.value)) return <PAGES.welcome />;
  if (!project.value) return <MissingProject />;
  const Shown = pageOf(name);
  return <Shown />;
}

function MissingProject() {
  const first = projects.value![0];
  return (
    <div class="empty">
      <h2>{words.project.missing}</h2>
      {first ? <button type="button" class="primary" onClick={() => openProject(first.project_id)}>{words.project.first}</button> : <button type="button" class="primary" onClick={() => go('#/')}>{words.tryAgain}</button>}
    </div>
  );
}
