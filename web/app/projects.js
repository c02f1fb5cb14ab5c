/** Where photos can go: the choice of project and gallery, and making new ones. */

import { api } from './api.js';
import { $, clearProblems, submitting } from './dom.js';
import { Picker } from './picker.js';

/** The picker of projects. */
export function projectPicker(select) {
  return new Picker(select, {
    idKey: 'project_id',
    plural: 'projects',
    read: async (cursor) => {
      const page = await api.projects(cursor);
      return { entries: page.projects, nextCursor: page.next_cursor };
    },
    fetch: api.project,
  });
}

/** The picker of one project's galleries. */
export function galleryPicker(select, projectId) {
  return new Picker(select, {
    idKey: 'gallery_id',
    plural: 'galleries',
    read: async (cursor) => {
      const page = await api.galleries(projectId(), cursor);
      return { entries: page.galleries, nextCursor: page.next_cursor };
    },
    fetch: async (id) => {
      const gallery = await api.gallery(id);
      return gallery.project_id === projectId() ? gallery : null;
    },
  });
}

/** Connects the button and dialog that make a project; `onMade` gets the new one. */
export function connectNewProject({ button, dialog, onMade }) {
  const form = $('form', dialog);
  button.addEventListener('click', () => {
    clearProblems(form);
    dialog.showModal();
  });
  $('#project-cancel', dialog).addEventListener('click', () => dialog.close());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    let project;
    const made = await submitting(form, async () => {
      project = await api.createProject(form.elements.name.value.trim());
    });
    if (!made) return;
    form.reset();
    dialog.close();
    onMade(project);
  });
}
