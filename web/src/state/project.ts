/** The open project, its galleries, and the lists of both. */

import { computed, effect, signal } from '@preact/signals';
import { api, readAll, type Schemas } from '../api/index.js';
import { go, href, page, projectId, route } from './route.js';
import { watch } from './watch.js';

export type Project = Schemas['Project'];
export type Gallery = Schemas['Gallery'];

const LAST = 'eyeline.project';
/** The name of the application that sends a demo's events; it also marks the project as a demo. */
export const DEMO_APPLICATION = 'Demo visitors';

/** Null while not known. */
export const projects = signal<Project[] | null>(null);
export const galleries = signal<Gallery[] | null>(null);
/** The application of the demo, if the open project is one. */
export const demoApplication = signal<string | null>(null);

export const project = computed(() => projects.value?.find((each) => each.project_id === projectId.value) ?? null);
/** The gallery that the address names. */
const wanted = computed(() => {
  const [first, id] = route.value.path;
  return first === 'gallery' || first === undefined ? id : route.value.params['gallery'];
});
export const gallery = computed(() => galleries.value?.find((each) => each.gallery_id === wanted.value) ?? galleries.value?.[0] ?? null);

// The address may name a gallery that was made elsewhere since the list was read.
const missing = computed(() => {
  const isKnown = !galleries.value || galleries.value.some((each) => each.gallery_id === wanted.value);
  return isKnown ? null : wanted.value;
});
watch(missing, (gallery_id) => {
  if (!gallery_id) return;
  const keep = (found: Gallery) => found.project_id === projectId.value && keepGallery(found);
  api.get('/galleries/{gallery_id}', { path: { gallery_id } }).then(keep, () => {});
});

/** Reads the projects, with the one that the address names. */
export async function loadProjects(): Promise<void> {
  const read = (cursor?: string) => api.get('/projects', { query: { limit: 100, cursor } });
  const before = projects.value ?? [];
  const found = await readAll(read, (list) => list.projects);
  // One that was made meanwhile may be missing in the list.
  const isNew = (made: Project) => !before.includes(made) && !found.some((each) => each.project_id === made.project_id);
  found.unshift(...(projects.value ?? []).filter(isNew));
  const asked = projectId.value;
  if (asked && !found.some((each) => each.project_id === asked)) {
    const one = await api.get('/projects/{project_id}', { path: { project_id: asked } }).catch(() => null);
    if (one) found.push(one);
  }
  projects.value = found;
  if (!projectId.value) openLast(found);
}

/** Opens the project that was open last, else the newest. The page that was asked for stays. */
function openLast(found: Project[]): void {
  const last = found.find(({ project_id }) => project_id === remembered()) ?? found[0];
  if (last) go(href(route.value.path.length ? route.value.path : ['gallery'], { ...route.value.params, project: last.project_id }), { replace: true });
}

// An address that was typed or sent may name no project.
watch(computed(() => (projectId.value || page.value === 'welcome' ? null : projects.value)), (found) => {
  if (found) openLast(found);
});

function remembered(): string | null {
  try {
    return localStorage.getItem(LAST);
  } catch {
    return null;
  }
}

/** Resolves once the projects, and the galleries of the open one, have been read. */
export function whenLoaded(): Promise<void> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (projects.value === null || (project.value && galleries.value === null)) return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}

/** Opens a project, on the page that is open. */
export function openProject(id: string, { replace = false } = {}): void {
  go(href([page.value === 'welcome' ? 'gallery' : page.value], { project: id }), { replace });
}

function rememberProject(id: string): void {
  try {
    localStorage.setItem(LAST, id);
  } catch {
    // Without storage the newest project opens next time.
  }
}

export async function createProject(name: string): Promise<Project> {
  const made = await api.post('/projects', { body: { name } });
  projects.value = [made, ...(projects.value ?? [])];
  return made;
}

export async function deleteProject(id: string): Promise<void> {
  await api.delete('/projects/{project_id}', { path: { project_id: id } });
  projects.value = (projects.value ?? []).filter((each) => each.project_id !== id);
  const next = projects.value[0];
  if (next) openProject(next.project_id, { replace: true });
  else go('#/', { replace: true });
}

let loadedId: string | null = null;

/** Reads what the pages of one project need; what is shown of it stays until then. */
export async function loadProject(id: string): Promise<void> {
  if (id !== loadedId) {
    galleries.value = null;
    demoApplication.value = null;
  }
  loadedId = id;
  rememberProject(id);
  const [found, applications] = await Promise.all([listGalleries(id), listApplications(id)]);
  if (id !== projectId.value) return;
  // The same list leaves the page as it is.
  if (JSON.stringify(found) !== JSON.stringify(galleries.value)) galleries.value = found;
  demoApplication.value = applications.find(({ name }) => name === DEMO_APPLICATION)?.application_id ?? null;
}

const listGalleries = (id: string) => {
  const read = (cursor?: string) => api.get('/galleries', { query: { project_id: id, limit: 100, cursor } });
  return readAll(read, (list) => list.galleries);
};

export const listApplications = (id: string) => {
  const read = (cursor?: string) => api.get('/applications', { query: { project_id: id, limit: 100, cursor } });
  return readAll(read, (list) => list.applications);
};

/** Puts a made or changed gallery into the list. */
export function keepGallery(changed: Gallery): void {
  const others = galleries.value ?? [];
  const isKnown = others.some((each) => each.gallery_id === changed.gallery_id);
  galleries.value = isKnown ? others.map((each) => (each.gallery_id === changed.gallery_id ? changed : each)) : [changed, ...others];
}

export function dropGallery(id: string): void {
  galleries.value = (galleries.value ?? []).filter((each) => each.gallery_id !== id);
}
