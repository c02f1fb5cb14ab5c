/** Starts the application. */

import { effect } from '@preact/signals';
import { render } from 'preact';
import { App } from './app.js';
import { startLive } from './state/live.js';
import { loadProject, loadProjects } from './state/project.js';
import { attempt } from './state/notices.js';
import { live } from './state/live.js';
import { projectId } from './state/route.js';
import { session, startSession } from './state/session.js';
import { startUploads } from './state/uploads.js';
import { startTheme } from './state/theme.js';
import './styles/base.css';
import './styles/controls.css';
import './styles/shell.css';
import './styles/gallery.css';
import './styles/data.css';
import 'uplot/dist/uPlot.min.css';

startTheme();
render(<App />, document.getElementById('app')!);
startLive();
startUploads();
effect(() => {
  if (session.value === 'in') void attempt(loadProjects);
});
effect(() => {
  const id = projectId.value;
  if (session.value === 'in' && id) void attempt(() => loadProject(id));
});
live.addEventListener('gap', () => {
  if (projectId.value) void loadProject(projectId.value).catch(() => {});
});
void startSession();
