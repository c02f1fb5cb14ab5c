/** The uploads of one of the project's visitors: found by the visitor's id, looked at, deleted. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { bytes } from '../../lib/format.js';
import { attempt, undoable } from '../../state/notices.js';
import { listApplications } from '../../state/project.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { FilterField } from '../../ui/form.js';
import { Icon, Loaded, Table, Time } from '../../ui/index.js';
import { useList, useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

type Image = Schemas['Image'];

const text = words.settings.uploads;

export function Uploads() {
  const applications = useLoad(projectId.value, () => listApplications(projectId.value!));
  return (
    <>
      <section class="card narrow"><p>{text.hint}</p><p class="hint">{text.limits}</p></section>
      <Loaded load={applications}>
        {([first]) => (first ? <OfVisitor application={first.application_id} /> : <p class="none">{text.noApplication}</p>)}
      </Loaded>
    </>
  );
}

function OfVisitor({ application }: { application: string }) {
  const visitor = param('visitor');
  return (
    <>
      <form class="bar filters" onSubmit={(event) => event.preventDefault()}>
        <FilterField label={text.visitor} value={visitor ?? ''} maxLength={255} onChange={(wanted) => go(hrefWith({ visitor: wanted || null }))} />
      </form>
      {visitor && <List key={visitor} application={application} visitor={visitor} />}
    </>
  );
}

function List({ application, visitor }: { application: string; visitor: string }) {
  const [gone, setGone] = useState<Set<string>>(new Set());
  // Any application of the project stands for it.
  const list = useList<Image>(visitor, async (cursor) => {
    const page = await api.get('/uploads', { query: { user_id: visitor, limit: 50, cursor }, headers: { application } });
    return { entries: page.images, next: page.next_cursor };
  });
  const remove = ({ image_id }: Image) => {
    setGone((before) => new Set([...before, image_id]));
    const restore = () => setGone((before) => new Set([...before].filter((id) => id !== image_id)));
    const work = () => void attempt(() => api.delete('/uploads/{image_id}', { path: { image_id }, keepalive: true })).then((done) => (done ? list.reload() : restore()));
    undoable(words.photo.deleted(1), words.undo, work, restore);
  };
  return (
    <Loaded load={list}>
      {() => (
        <Table
          caption={words.settings.tabs.uploads} rows={list.entries.filter(({ image_id }) => !gone.has(image_id))} more={list.more} empty={text.none} rowKey={({ image_id }) => image_id}
          columns={[
            { title: words.images.picture, cell: ({ versions }) => (versions.thumb ? <img class="thumb" src={versions.thumb} alt="" width={56} height={42} /> : <span class="thumb" />) },
            { title: words.images.name, cell: ({ filename }) => filename },
            { title: words.images.state, cell: ({ state, error }) => <>{words.images.states[state]}{error && <p class="problem">{error}</p>}</> },
            { title: words.images.size, cell: ({ bytes: size }) => (size ? bytes(size) : '–') },
            { title: words.images.added, cell: ({ created_at }) => <Time at={created_at} relative /> },
            { title: words.images.actions, cell: (image) => <button type="button" class="icon-button" aria-label={`${words.delete}: ${image.filename}`} onClick={() => remove(image)}><Icon name="trash" /></button> },
          ]}
        />
      )}
    </Loaded>
  );
}
