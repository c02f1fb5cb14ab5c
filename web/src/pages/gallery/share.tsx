/** Showing the gallery to others: on a public page of the server, and on sites of one's own. */

import { api, type Schemas } from '../../api/index.js';
import { attempt } from '../../state/notices.js';
import { keepGallery, listApplications, type Gallery } from '../../state/project.js';
import { otherPublicUrl } from '../../state/session.js';
import { Field, Form } from '../../ui/form.js';
import { Copyable, Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

const text = words.share;

export function Share({ shown }: { shown: Gallery }) {
  return (
    <div class="cards">
      <PublicPage shown={shown} />
      <Site shown={shown} />
    </div>
  );
}

/** The server's address as visitors use it. */
const host = () => otherPublicUrl.value ?? location.origin;

function PublicPage({ shown }: { shown: Gallery }) {
  const { gallery_id, visibility, access_tier, page } = shown;
  const address = `${host()}/g/${gallery_id}`;
  const save = async (change: Schemas['PublicPageChange']) => {
    const send = async () => keepGallery(await api.patch('/galleries/{gallery_id}', { path: { gallery_id }, body: { page: change } }));
    // After a failure the switch shows again what holds.
    if (!(await attempt(send))) keepGallery({ ...shown });
  };
  const toggle = (name: 'enabled' | 'indexed') => (
    <label class="check">
      <input type="checkbox" role="switch" class="switch" checked={page[name]} onChange={(event) => void save({ [name]: event.currentTarget.checked })} />
      {text.page[name]}
    </label>
  );
  return (
    <section class="card">
      <h3>{text.page.title}</h3>
      <p>{text.page.text}</p>
      {toggle('enabled')}
      {page.enabled && (visibility === 'private' || access_tier !== 'free') && <p class="problem">{text.page.closed}</p>}
      {page.enabled && (
        <>
          <Copyable label={text.page.address} text={address} />
          {toggle('indexed')}
          <p class="hint"><a href={address} target="_blank" rel="noopener">{text.page.open}</a> {text.page.counts}</p>
        </>
      )}
    </section>
  );
}

function Site({ shown }: { shown: Gallery }) {
  const { project_id, gallery_id, name, visibility } = shown;
  const load = useLoad(project_id, () => listApplications(project_id));
  const application = load.data?.find(({ allowed_origins }) => allowed_origins.length > 0);
  const make = async ({ allowed_origins }: Record<string, string>) => {
    const origins = allowed_origins!.split(/[\s,]+/).filter(Boolean);
    if (origins.length === 0) throw new Error(text.originNeeded);
    await api.post('/applications', { body: { project_id, name: text.applicationName(name), allowed_origins: origins } });
    load.reload();
  };
  const snippet = (id: string) => [
    `<script type="module" src="${host()}/eyeline.js" data-application="${id}"></script>`,
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
