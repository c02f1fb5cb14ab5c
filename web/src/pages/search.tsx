/** Search over everything that has an address: pages, galleries, types of events, and images by name. */

import { useEffect, useId, useState } from 'preact/hooks';
import { api } from '../api/index.js';
import { matching, type Hit } from '../lib/search.js';
import { galleries } from '../state/project.js';
import { go, href, projectId } from '../state/route.js';
import { Dialog, Icon } from '../ui/index.js';
import type { IconName } from '../ui/icons.js';
import { useLoad } from '../ui/load.js';
import { words } from '../words/index.js';

const text = words.search;
/** Results of each kind. */
const SHOWN = 6;
/** Images are looked up once the typing has paused for this long. */
const PAUSE_MS = 200;
const NAME_MAX = 100;

interface Group {
  title: string;
  icon: IconName;
  hits: Hit[];
}

function pages(): Hit[] {
  const { gallery, insight, events, settings } = words;
  const tabs = ([title, path, names]: [string, string, Record<string, string>]): Hit[] =>
    Object.entries(names).filter(([id]) => id !== 'label').map(([id, name]) => ({ title: `${title} · ${name}`, href: href([path, id]) }));
  const shown = galleries.value?.[0];
  const ofGallery = (['photos', 'order', 'share'] as const).map((id) => ({ title: `${words.nav.gallery} · ${gallery.tabs[id]}`, href: href(shown ? ['gallery', shown.gallery_id, id] : ['gallery']) }));
  return [
    ...ofGallery,
    { title: words.nav.images, href: href(['images']) },
    ...([[words.nav.insight, 'insight', insight.tabs], [words.nav.events, 'events', events.tabs], [words.nav.settings, 'settings', settings.tabs]] as const).flatMap(([...each]) => tabs(each as [string, string, Record<string, string>])),
    { title: words.welcome.title, href: href(['welcome']) },
  ];
}

/** The text once it has not changed for a moment. */
function usePaused(typed: string): string {
  const [paused, setPaused] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setPaused(typed), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return paused;
}

function useGroups(typed: string): { groups: Group[]; error: unknown; isLoading: boolean } {
  const project_id = projectId.value!;
  const name = usePaused(typed.trim().slice(0, NAME_MAX));
  const images = useLoad(name || null, () => api.get('/projects/{project_id}/images', { path: { project_id }, query: { name, limit: SHOWN } }));
  const types = useLoad(project_id, () => api.get('/analytics/features', { query: { project_id, limit: 1000 } }));
  const typeHits = (types.data?.rows ?? []).map(({ category, name }) => ({ title: `${category} / ${name}`, href: href(['events', 'live'], { category, name }) }));
  const galleryHits = (galleries.value ?? []).map(({ gallery_id, name }) => ({ title: name, href: href(['gallery', gallery_id]) }));
  const imageHits = (images.data?.images ?? []).map(({ image_id, filename }) => ({ title: filename, href: href(['images'], { image: image_id }) }));
  const groups: Group[] = [
    { title: text.pages, icon: 'menu', hits: matching(pages(), typed, SHOWN) },
    { title: text.galleries, icon: 'gallery', hits: matching(galleryHits, typed, SHOWN) },
    { title: text.types, icon: 'events', hits: typed.trim() ? matching(typeHits, typed, SHOWN) : [] },
    { title: text.images, icon: 'images', hits: typed.trim() ? imageHits : [] },
  ];
  return {
    groups: groups.filter(({ hits }) => hits.length > 0),
    error: images.error ?? types.error,
    isLoading: typed.trim() !== '' && (name !== typed.trim().slice(0, NAME_MAX) || images.isLoading || types.isLoading),
  };
}

export function Search({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState('');
  const [chosen, setChosen] = useState(0);
  const id = useId();
  const { groups, error, isLoading } = useGroups(typed);
  const hits = groups.flatMap((group) => group.hits);
  const at = Math.min(chosen, hits.length - 1);
  const open = (hit: Hit) => (onClose(), go(hit.href));
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && hits.length) setChosen((at + step + hits.length) % hits.length);
    else if (event.key === 'Enter' && hits[at]) open(hits[at]);
    else return;
    event.preventDefault();
  };
  useEffect(() => document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: 'nearest' }), [at]);
  const combobox = {
    role: 'combobox', 'aria-autocomplete': 'list', 'aria-expanded': hits.length > 0, 'aria-controls': id,
    'aria-activedescendant': hits[at] ? `${id}-${at}` : undefined,
  };
  return (
    <Dialog title={text.title} onClose={onClose}>
      <input
        {...(combobox as object)} type="search" class="search-field" aria-label={text.title} autoComplete="off" spellcheck={false} autofocus
        placeholder={text.placeholder} value={typed} onInput={(event) => (setTyped(event.currentTarget.value), setChosen(0))} onKeyDown={onKeyDown}
      />
      <div id={id} class="results" role="listbox" aria-label={text.results}>
        {groups.map(({ title, icon, hits: found }) => (
          <div key={title} role="group" aria-label={title}>
            <p class="menu-title" aria-hidden="true">{title}</p>
            {found.map((hit) => {
              const index = hits.indexOf(hit);
              return (
                <a
                  key={hit.href} id={`${id}-${index}`} role="option" aria-selected={index === at} tabIndex={-1} href={hit.href}
                  onClick={() => onClose()} onPointerMove={() => setChosen(index)}
                ><Icon name={icon} /><span>{hit.title}</span></a>
              );
            })}
          </div>
        ))}
      </div>
      <p class="hint" role="status">{error ? text.failed : isLoading ? words.loading : hits.length === 0 ? text.none : text.keys}</p>
    </Dialog>
  );
}

/** The keys of the application. */
export function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={words.keys.title} onClose={onClose}>
      <dl class="facts">{words.keys.list.map(([key, does]) => <><dt><kbd>{key}</kbd></dt><dd>{does}</dd></>)}</dl>
    </Dialog>
  );
}
