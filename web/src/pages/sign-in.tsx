import { ApiError } from '../api/index.js';
import { sessionProblem, signIn } from '../state/session.js';
import { uploadNote } from '../state/uploads.js';
import { Brand } from '../ui/icons.js';
import { Form, TextField } from '../ui/form.js';
import { words } from '../words/index.js';

export function SignIn() {
  const send = async ({ admin_key }: Record<string, string>) => {
    try {
      await signIn(admin_key!.trim());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) throw new Error(words.signIn.unknownKey);
      throw error;
    }
  };
  return (
    <main class="sign-in">
      <h1 class="brand"><Brand /><span>{words.name}</span></h1>
      <p class="lead">{words.signIn.lead}</p>
      <section class="card">
        <h2>{words.signIn.title}</h2>
        {(uploadNote.value ?? sessionProblem.value) && <p class="problem" role="alert">{uploadNote.value ?? sessionProblem.value}</p>}
        <p>{words.signIn.hint} <code>{words.signIn.command}</code>.</p>
        <Form onSubmit={send} submit={words.signIn.submit}>
          <TextField name="admin_key" label={words.signIn.key} hint={words.signIn.or} type="password" autoComplete="current-password" spellcheck={false} placeholder="eyl_admin_…" />
        </Form>
      </section>
      <p class="hint">{words.signIn.drop} <button type="button" class="link" onClick={() => document.getElementById('upload')!.click()}>{words.upload.add}</button></p>
    </main>
  );
}
