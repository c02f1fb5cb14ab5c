/** Starts the application. */

import { render } from 'preact';
import { ApiError } from './api/index.js';
import { App } from './app.js';
import { loadProject, loadProjects } from './state/project.js';
import { attempt } from './state/notices.js';
import { live, openId, startLive } from './state/live.js';
import { projectId } from './state/route.js';
import { session, startSession } from './state/session.js';
import { startUploads } from './state/uploads.js';
import { watch } from './state/watch.js';
import { startTheme } from './state/theme.js';

const isMissing = (error: unknown) => error instanceof ApiError && error.status === 404;

startTheme();
render(<App />, document.getElementById('app')!);
startLive();
startUploads();
watch(session, (state) => {
  if (state === 'in') void attempt(loadProjects);
});
watch(openId, (id) => {
  // The page itself tells that a project does not exist.
  if (id) void attempt(() => loadProject(id).catch((error: unknown) => { if (!isMissing(error)) throw error; }));
});
live.addEventListener('gap', () => {
  if (projectId.value) void loadProject(projectId.value).catch(() => {});
});
void startSession();
