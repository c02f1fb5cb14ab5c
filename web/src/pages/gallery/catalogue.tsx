/** Loads a catalogue of pictures from a file into a gallery, and tells what became of its rows. */

import { useState } from 'preact/hooks';
import { requestText, type Schemas } from '../../api/index.js';
import { fieldWords } from '../../api/http.js';
import { CATALOGUE_ENDINGS, catalogueType, PRESETS } from '../../lib/catalogue.js';
import { number } from '../../lib/format.js';
import { CheckField, Field, Form, SelectField } from '../../ui/form.js';
import { Dialog, Table } from '../../ui/index.js';
import { words } from '../../words/index.js';

type Load = Schemas['DatasetLoad'];

const text = words.catalogue;
/** Rejected rows that the dialog lists. */
const SHOWN = 100;

export function ImportCatalogue({ galleryId, onClose }: { galleryId: string; onClose: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [loaded, setLoaded] = useState<Load | null>(null);
  const send = async ({ map, replace }: Record<string, string>) => {
    if (!file) throw new Error(text.fileNeeded);
    const type = catalogueType(file.name);
    if (!type) throw new Error(text.unknownType);
    const query = new URLSearchParams({ ...(map && { map }), ...(replace === 'on' && { replace: 'true' }) });
    setLoaded(await requestText<Load>('POST', `/galleries/${galleryId}/dataset?${query}`, file, type));
  };
  return (
    <Dialog title={text.title} onClose={onClose} wide>
      {loaded ? <Outcome loaded={loaded} /> : (
        <Form onSubmit={send} submit={text.load} onCancel={onClose}>
          <p class="hint">{text.hint}</p>
          <Field name="file" label={text.file} hint={text.fileHint}>
            {({ name: _, ...control }) => <input {...control} type="file" accept={CATALOGUE_ENDINGS} onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)} />}
          </Field>
          <SelectField name="map" label={text.columns} options={PRESETS.map((each) => [each, text.presets[each]])} />
          <CheckField name="replace" label={text.replace} hint={text.replaceHint} isOn={false} />
        </Form>
      )}
    </Dialog>
  );
}

function Outcome({ loaded: { created, updated, unchanged, removed, not_removed, rejected, rejected_count } }: { loaded: Load }) {
  const counts = [['created', created], ['updated', updated], ['unchanged', unchanged], ['removed', removed], ['rejected', rejected_count]] as const;
  return (
    <>
      <div role="status"><dl class="facts">{counts.map(([name, count]) => <div key={name}><dt>{text.counts[name]}</dt><dd class={name === 'rejected' && count > 0 ? 'problem' : ''}>{number(count)}</dd></div>)}</dl></div>
      {not_removed && <p>{not_removed}</p>}
      {rejected.length > 0 && (
        <Table
          caption={text.counts.rejected} rows={rejected.slice(0, SHOWN)} rowKey={({ row }) => row}
          columns={[
            { title: text.row, isNumber: true, cell: ({ row }) => number(row) },
            { title: text.why, cell: ({ errors }) => <span class="problem">{Object.entries(errors as Record<string, string[]>).map(fieldWords).join(' ')}</span> },
          ]}
        />
      )}
      {rejected_count > SHOWN && <p class="hint">{text.firstShown(SHOWN)}</p>}
    </>
  );
}
