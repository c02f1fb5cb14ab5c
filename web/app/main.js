/** Starts the page: session, choice of project, uploads. */

import { api, openedAt, sessionNews } from './api.js';
import { backoffMs } from '../dist/shared.js';
import { $, say, wordsOf } from './dom.js';
import { acceptDrops } from './drop.js';
import { plural } from './format.js';
import { connectNewProject, projectPicker } from './projects.js';
import { parseRoute, writeRoute } from './route.js';
import { connectSession } from './session.js';
import { UNFINISHED_MAX, Uploads } from './upload.js';
import { leftOutWords, showUploads } from './upload-view.js';
import { Workspace } from './workspace.js';

const uploads = new Uploads();
const panel = showUploads($('#uploads'), uploads);
const workspace = new Workspace(uploads);
const projects = projectPicker($('#project'));
let signedIn = null;
/** Files chosen before sign-in or while the server is away; they are queued as soon as both have passed. */
let held = [];
let holdTimer = null;
let holdAttempts = 0;

function showSession() {
  $('#intro').hidden = signedIn;
  $('#project-bar').hidden = !signedIn;
  $('#sign-out').hidden = !signedIn;
  $('#address-note').hidden = !signedIn || !$('#address-note').textContent;
}

async function changed(now) {
  if (now === signedIn) return;
  const before = signedIn;
  signedIn = now;
  showSession();
  if (now) return enter();
  workspace.close();
  if (before === null) return;
  uploads.clear();
  panel.forgetGone();
  writeRoute({});
}

/** The server has ended the session: what was under way stays in sight, to go on with after signing in again. */
function expired() {
  if (!signedIn) return;
  signedIn = false;
  showSession();
  workspace.close();
  uploads.stop();
  say($('#sign-in-problem'), 'You have been signed out. Sign in again to go on.');
}

async function enter() {
  say($('#upload-problem'), null);
  say($('#sign-in-problem'), null);
  try {
    await open(parseRoute(location.hash));
    await take([]);
  } catch (error) {
    say($('#upload-problem'), wordsOf(error));
  }
}

/** Opens what the address asks for, or the first project there is. */
async function open(route) {
  const project = await projects.load(route.project);
  if (project) await workspace.openProject(project, { galleryId: route.gallery, order: route.order });
}

/** Takes chosen or dropped files; the first ever make their project and gallery by themselves. */
async function take(chosen) {
  const all = [...held, ...chosen];
  const files = all.slice(0, UNFINISHED_MAX);
  const leftOut = all.length - files.length;
  if (files.length === 0) return;
  clearTimeout(holdTimer);
  if (!signedIn) {
    held = files;
    say($('#upload-problem'), `Sign in first, with the admin link or the admin key above. ${plural(held.length, 'photo')} `
      + 'chosen: they go in as soon as you are signed in.');
    $('#admin-key').focus();
    return;
  }
  held = [];
  try {
    const place = await workspace.place();
    if (place.madeProject) projects.add(place.madeProject);
    uploads.limits = await api.limits(place.projectId);
    holdAttempts = 0;
    say($('#upload-problem'), leftOutWords(uploads.add(files, place) + leftOut, UNFINISHED_MAX));
  } catch (error) {
    if (error.temporary) return hold(files, error);
    say($('#upload-problem'), wordsOf(error));
  }
}

/** Keeps files that the server cannot be asked about, and tries again. */
function hold(files, error) {
  held = [...files, ...held].slice(0, UNFINISHED_MAX);
  say($('#upload-problem'), `${wordsOf(error)} ${plural(held.length, 'photo')} waiting: they are sent when it answers.`);
  holdTimer = setTimeout(() => take([]), Math.max(backoffMs(holdAttempts++), error.retryAfterMs ?? 0));
}

/** Says which setting to change when the page is not at the address that the server gives out. */
function showPublicUrl(publicUrl) {
  const differs = openedAt(publicUrl, location.origin);
  say($('#address-note'), differs
    ? `This page is open at ${location.origin}, but links for other pages begin with ${publicUrl}. `
      + `To share them, start the server with EYELINE_PUBLIC_URL=${location.origin}.`
    : null);
}

projects.addEventListener('chosen', ({ detail }) => workspace.openProject(detail));
connectNewProject({
  button: $('#new-project'),
  dialog: $('#project-dialog'),
  onMade: (project) => {
    projects.add(project);
    workspace.openProject(project);
  },
});
$('#upload').addEventListener('change', ({ target }) => {
  take([...target.files]);
  target.value = '';
});
acceptDrops($('#drop'), take, (error) => say($('#upload-problem'), wordsOf(error)));
sessionNews.addEventListener('signed-out', expired);
addEventListener('hashchange', () => {
  const route = parseRoute(location.hash);
  if (signedIn && !route.ticket) open(route).catch((error) => say($('#upload-problem'), wordsOf(error)));
});
addEventListener('online', () => {
  uploads.resume();
  if (held.length && signedIn) take([]);
});
addEventListener('beforeunload', (event) => {
  if (held.length) event.preventDefault();
  if (uploads.unfinished.some((item) => item.file && ['waiting', 'init'].includes(item.state))) event.preventDefault();
});
connectSession({ form: $('#sign-in'), signOut: $('#sign-out'), onChange: changed, onPublicUrl: showPublicUrl });
