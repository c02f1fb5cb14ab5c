/** The open project: its name, what it holds against its limits, and its end. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { bytes, number, typeNames, wholeUnits } from '../../lib/format.js';
import { notify } from '../../state/notices.js';
import { deleteProject, project, projects, type Project } from '../../state/project.js';
import { Form, SelectField, TextField } from '../../ui/form.js';
import { Dialog, Loaded, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

const text = words.settings.project;

export function ProjectSettings() {
  const [isDeleting, setDeleting] = useState(false);
  const { project_id, name, tier, created_at } = project.value!;
  const path = { project_id };
  const usage = useLoad(project_id, () => api.get('/projects/{project_id}/usage', { path }));
  const limits = useLoad(project_id, () => api.get('/limits', { query: { project_id } }));
  const save = async (values: Record<string, string>) => {
    const body = { name: values['name']!.trim(), tier: values['tier'] as Project['tier'] };
    const changed = await api.patch('/projects/{project_id}', { path, body });
    projects.value = projects.value!.map((each) => (each.project_id === project_id ? changed : each));
    notify(words.saved);
    usage.reload();
    limits.reload();
  };
  return (
    <div class="cards">
      <section class="card">
        <h3>{words.project.label}</h3>
        <Form onSubmit={save} submit={words.save}>
          <TextField name="name" label={text.name} maxLength={200} defaultValue={name} />
          <SelectField name="tier" label={text.tier} value={tier} options={Object.entries(text.tiers)} />
        </Form>
        <dl class="facts"><dt>{text.id}</dt><dd>{project_id}</dd><dt>{text.created}</dt><dd><Time at={created_at} /></dd></dl>
        <button type="button" class="link danger" onClick={() => setDeleting(true)}>{text.delete}…</button>
      </section>
      <section class="card">
        <h3>{text.usage}</h3>
        <Loaded load={usage}>{(found) => <Usage usage={found} />}</Loaded>
        <h3>{text.limits}</h3>
        <Loaded load={limits}>
          {(found) => (
            <dl class="facts">
              <dt>{text.fileMax}</dt><dd>{wholeUnits(found.max_file_bytes)}</dd>
              <dt>{text.batchMax}</dt><dd>{number(found.max_batch_files)}</dd>
              <dt>{text.types}</dt><dd>{typeNames(found.content_types)}</dd>
            </dl>
          )}
        </Loaded>
      </section>
      {isDeleting && <DeleteProject id={project_id} name={name} onClose={() => setDeleting(false)} />}
    </div>
  );
}

function Usage({ usage: { images, bytes: size, events, quotas } }: { usage: Schemas['ProjectUsage'] }) {
  const rows: [label: string, value: number, quota: number | null, told: (value: number) => string][] = [
    [text.images, images, quotas.images, number], [text.bytes, size, quotas.bytes, bytes], [text.events, events, quotas.events, number],
  ];
  return (
    <dl class="meters">
      {rows.map(([label, value, quota, told]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{told(value)} <span class="hint">/ {quota === null ? text.unlimited : told(quota)}</span></dd>
          {quota !== null && <dd><meter aria-label={label} min={0} max={quota} high={quota * 0.8} optimum={0} value={value} /></dd>}
        </div>
      ))}
    </dl>
  );
}

function DeleteProject({ id, name, onClose }: { id: string; name: string; onClose: () => void }) {
  const run = async ({ typed }: Record<string, string>) => {
    if (typed!.trim() !== name) throw new Error(text.deleteMismatch);
    await deleteProject(id);
    onClose();
  };
  return (
    <Dialog title={text.delete} onClose={onClose}>
      <p>{text.deleteText(name)}</p>
      <Form onSubmit={run} submit={text.delete} danger onCancel={onClose}><TextField name="typed" label={text.name} autofocus /></Form>
    </Dialog>
  );
}
