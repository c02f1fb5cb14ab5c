import { api, type Schemas } from '../../api/index.js';
import { whyParts, whySentence } from '../../lib/why.js';
import { param } from '../../state/route.js';
import { Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { ORDERS } from './model.js';

const text = words.photo;

export function Why({ galleryId, imageId }: { galleryId: string; imageId: string }) {
  const order = ORDERS.find((each) => each === param('order'));
  const path = { gallery_id: galleryId, image_id: imageId };
  const why = useLoad<Schemas['RankExplanation']>(`${imageId} ${order}`, () => api.get('/galleries/{gallery_id}/images/{image_id}/why', { path, query: { order } }));
  return (
    <section>
      <h3>{text.why}</h3>
      <Loaded load={why}>
        {(data) => (
          <>
            <p>{whySentence(data)}</p>
            <Parts parts={whyParts(data)} />
            <details class="formula"><summary>{text.whyFormula}</summary><code>{data.formula} = {data.score.toLocaleString(undefined, { maximumFractionDigits: 4 })}</code></details>
          </>
        )}
      </Loaded>
    </section>
  );
}

function Parts({ parts }: { parts: { label: string; value: number }[] }) {
  const sum = parts.reduce((total, { value }) => total + value, 0);
  if (sum === 0) return null;
  const told = (value: number) => value.toLocaleString(undefined, { maximumFractionDigits: 3 });
  return (
    <div class="parts" role="img" aria-label={`${text.whyParts}: ${parts.map(({ label, value }) => `${label} ${told(value)}`).join(', ')}`}>
      <div class="parts-bar">{parts.map(({ label, value }, index) => <span key={label} class={`part-${index}`} style={{ flexGrow: value / sum }} />)}</div>
      <p>{parts.map(({ label, value }, index) => <span key={label}><i class={`part-${index}`} />{label} {told(value)}</span>)}</p>
    </div>
  );
}
