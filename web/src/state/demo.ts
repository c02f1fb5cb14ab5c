/** The demo: a project of its own with twelve pictures, and visitors who send events as browsers do. */

import { api } from '../api/index.js';
import { request } from '../api/http.js';
import { uuid7 } from '../../../clients/js/src/shared/uuid.js';
import { galleryEvent, randoms, visit, type DemoEvent, type SeenItem } from '../lib/demo.js';
import { demoFiles } from '../lib/paint-demo.js';
import { words } from '../words/index.js';
import { createProject, DEMO_APPLICATION, demoApplication, keepGallery, openProject } from './project.js';
import { uploads } from './uploads.js';

/** Visitors who see the same published order and whose events go in one request. */
const GROUP = 10;

/** Makes the demo's project, application and gallery, and queues its pictures. */
export async function startDemo(onStep: (step: string) => void): Promise<void> {
  onStep(words.demoSteps.project);
  const { project_id } = await createProject(words.demo.projectName);
  const { application_id } = await api.post('/applications', { body: { project_id, name: DEMO_APPLICATION, allowed_origins: [location.origin] } });
  const gallery = await api.post('/galleries', { body: { project_id, name: words.demo.galleryName, ranking: { strategy: 'ctr' } } });
  onStep(words.demoSteps.pictures);
  uploads.limits = await api.get('/limits', { query: { project_id } });
  uploads.add(await demoFiles(), { projectId: project_id, galleryId: gallery.gallery_id });
  openProject(project_id);
  demoApplication.value = application_id;
  keepGallery(gallery);
}

const send = (application: string, events: DemoEvent[]) =>
  request('POST', '/events/batch', { body: { events }, headers: { application }, credentials: 'omit' });

/** Reads a gallery as a visitor does, so that the items carry receipts of their places. */
async function read(application: string, gallery: string, session: string): Promise<SeenItem[]> {
  const page = await request('GET', `/galleries/${gallery}/images?limit=100&session_id=${session}`, { headers: { application }, credentials: 'omit', cache: 'no-cache' });
  return (page as { items: SeenItem[] }).items;
}

/** Sends `count` visitors through the gallery; gives the number of events. */
export async function sendVisitors(application: string, gallery: string, count: number, onProgress: (done: number) => void): Promise<number> {
  const random = randoms(Date.now());
  let sent = 0;
  for (let done = 0; done < count; done += GROUP) {
    const sessions = Array.from({ length: Math.min(GROUP, count - done) }, () => uuid7());
    const items = await read(application, gallery, sessions[0]!);
    if (items.length === 0) return sent;
    const events = sessions.flatMap((session) => visit(session, gallery, items, random));
    await send(application, events);
    sent += events.length;
    onProgress(done + sessions.length);
  }
  return sent;
}

/** The session of the person in front of the demo. */
const own = uuid7();

/** Counts a click of one's own, in the demo alone. */
export async function ownClick(application: string, gallery: string, item: SeenItem): Promise<void> {
  await send(application, [galleryEvent('view', own, gallery, item), galleryEvent('click', own, gallery, item)]);
}
