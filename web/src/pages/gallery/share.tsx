/** Showing the gallery elsewhere: one button makes the application, and the snippet is ready. */

import { api } from '../../api/index.js';
import { listApplications, type Gallery } from '../../state/project.js';
import { otherPublicUrl } from '../../state/session.js';
import { Field, Form } from '../../ui/form.js';
import { Copyable, Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

const text = words.share;

export function Share({ shown }: { shown: Gallery }) {
  const { project_id, gallery_id, name, visibility } = shown;
  const load = useLoad(project_id, () => listApplications(project_id));
  const application = load.data?.find(({ allowed_origins }) => allowed_origins.length > 0);
  const host = otherPublicUrl.value ?? location.origin;
  const make = async ({ allowed_origins }: Record<string, string>) => {
    const origins = allowed_origins!.split(/[\s,]+/).filter(Boolean);
    if (origins.length === 0) throw new Error(text.originNeeded);
    await api.post('/applications', { body: { project_id, name: text.applicationName(name), allowed_origins: origins } });
    load.reload();
  };
  const snippet = (id: string) => [
    `<script type="module" src="${host}/eyeline.js" data-application="${id}"></script>`,
    `<eyeline-gallery gallery="${gallery_id}" application="${id}"></eyeline-gallery>`,
  ].join('\n');
  return (
    <section class="card">
      <h3>{text.title}</h3>
      <p>{text.text}</p>
      {visibility === 'private' && <p class="problem">{text.private}</p>}
      <Loaded load={load}>
        {() => (application ? (
          <>
            <Copyable block label={text.snippet} text={snippet(application.application_id)} />
            <p class="hint">{text.origins(application.name, application.allowed_origins.join(', '))}</p>
          </>
        ) : (
          <Form onSubmit={make} submit={text.make}>
            <Field name="allowed_origins" label={words.settings.applications.origins} hint={words.settings.applications.originsHint}>
              {(control) => <textarea {...control} rows={2} spellcheck={false} placeholder="https://shop.example" />}
            </Field>
          </Form>
        ))}
      </Loaded>
    </section>
  );
}
