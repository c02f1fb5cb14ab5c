import { createProject, openProject } from '../state/project.js';
import { Form, TextField } from '../ui/form.js';
import { Dialog } from '../ui/index.js';
import { words } from '../words/index.js';

export function NewProject({ onClose }: { onClose: () => void }) {
  const make = async ({ name }: Record<string, string>) => {
    const made = await createProject(name!.trim());
    onClose();
    openProject(made.project_id);
  };
  return (
    <Dialog title={words.project.newTitle} onClose={onClose}>
      <p class="hint">{words.project.newHint}</p>
      <Form onSubmit={make} submit={words.create} onCancel={onClose}>
        <TextField name="name" label={words.project.name} maxLength={200} autofocus />
      </Form>
    </Dialog>
  );
}
