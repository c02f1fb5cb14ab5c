/** The manual order of a gallery: photos are dragged, or moved by their buttons. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { moved } from '../../lib/arrange.js';
import { attempt, notify } from '../../state/notices.js';
import { Action, Dialog, Icon, Loaded } from '../../ui/index.js';
import type { IconName } from '../../ui/icons.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { readRules, writeRules, type Rules } from './actions.js';
import { nameOf, type Item } from './model.js';

type Strategy = Schemas['RankingSettings']['strategy'];

const text = words.order.arrange;
/** Photos of the list; those after them follow, the newest first. */
const SHOWN = 100;

interface ArrangeProps {
  galleryId: string;
  /** The gallery's strategy. */
  strategy: Strategy;
  /** Changes the gallery's strategy. */
  use: (strategy: Strategy) => Promise<void>;
  onClose: () => void;
}

export function Arrange({ galleryId, ...props }: ArrangeProps) {
  const path = { gallery_id: galleryId };
  const load = useLoad(galleryId, async () => {
    const rules = await readRules(galleryId);
    // Without a list the order is that which visitors see now.
    const order = rules.manual.length ? 'manual' : undefined;
    const { items } = await api.get('/galleries/{gallery_id}/images', { path, query: { limit: SHOWN, order } });
    return { rules, items };
  });
  return (
    <Dialog title={text.title} onClose={props.onClose} wide>
      <Loaded load={load}>{({ rules, items }) => <List galleryId={galleryId} {...props} rules={rules} first={items} />}</Loaded>
    </Dialog>
  );
}

function List({ galleryId, strategy, use, onClose, rules, first }: ArrangeProps & { rules: Rules; first: Item[] }) {
  const [items, setItems] = useState(first);
  const [held, setHeld] = useState<number | null>(null);
  const save = async () => {
    const manual = items.map(({ image_id }) => ({ image_id }));
    // A later part of a longer list stays.
    const kept = rules.manual.filter((rule) => !manual.some(({ image_id }) => image_id === rule.image_id));
    const set = async (list: Rules, wanted: Strategy) => {
      await writeRules(galleryId, list);
      if (strategy !== 'manual') await use(wanted);
    };
    await set({ ...rules, manual: [...manual, ...kept] }, 'manual');
    notify(text.saved, { action: { label: words.undo, run: () => void attempt(() => set(rules, strategy)) } });
    onClose();
  };
  const over = (at: number) => (event: DragEvent) => {
    event.preventDefault();
    if (held === null || held === at) return;
    setItems(moved(items, held, at));
    setHeld(at);
  };
  const step = (icon: IconName, label: string, at: number, to: number) => (
    <button type="button" class={`icon-button ${icon}-${label === text.down ? 'down' : 'up'}`} aria-label={`${label}: ${nameOf(items[at]!) ?? words.gallery.unnamed}`} title={label} disabled={to < 0 || to >= items.length || to === at} onClick={() => setItems(moved(items, at, to))}><Icon name={icon} /></button>
  );
  return (
    <>
      <p class="hint">{text.hint(SHOWN)}</p>
      {items.length === 0 && <p class="none">{words.gallery.empty}</p>}
      <ol class="arranged">
        {items.map((item, at) => (
          <li key={item.image_id} class={held === at ? 'held' : undefined} draggable onDragStart={() => setHeld(at)} onDragEnd={() => setHeld(null)} onDragOver={over(at)}>
            <span class="number hint">{at + 1}</span>
            {item.preview ? <img class="thumb" src={item.preview} alt="" width={56} height={42} draggable={false} loading="lazy" /> : <span class="thumb" />}
            <span class="clip">{nameOf(item) ?? words.gallery.unnamed}</span>
            <span class="line tight">{step('up', text.top, at, 0)}{step('chevron', text.up, at, at - 1)}{step('chevron', text.down, at, at + 1)}</span>
          </li>
        ))}
      </ol>
      <div class="line end">
        <button type="button" class="quiet" onClick={onClose}>{words.cancel}</button>
        <Action class="primary" disabled={items.length === 0} run={save}>{words.save}</Action>
      </div>
    </>
  );
}
