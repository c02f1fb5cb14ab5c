/** An owner's actions on photos: pin, hide, move, delete. Each can be undone. */

import { api, type Schemas } from '../../api/index.js';
import { inParallel } from '../../lib/parallel.js';
import { attempt, notify, undoable } from '../../state/notices.js';
import { words } from '../../words/index.js';
import { removed } from './model.js';

export type Rules = Schemas['StoredGalleryRules'];

/** Requests that one action sends at the same time. */
const PARALLEL = 6;

export const readRules = (gallery_id: string): Promise<Rules> => api.get('/galleries/{gallery_id}/rules', { path: { gallery_id } });

export const writeRules = (gallery_id: string, rules: Rules) => api.put('/galleries/{gallery_id}/rules', { path: { gallery_id }, body: rules });

/** Changes the rules, and offers to put the ones before back. */
async function changeRules(galleryId: string, change: (rules: Rules) => Rules, said: string, after: () => void): Promise<void> {
  const before = await readRules(galleryId);
  await writeRules(galleryId, change(before));
  after();
  const undo = () => void attempt(async () => (await writeRules(galleryId, before), after()));
  notify(said, { action: { label: words.undo, run: undo } });
}

const withoutPin = (rules: Rules, imageId: string): Rules => ({ ...rules, pin: rules.pin.filter((rule) => rule.image_id !== imageId) });

export const pin = (galleryId: string, imageId: string, position: number, after: () => void) =>
  changeRules(
    galleryId,
    (rules) => ({ ...rules, pin: [...withoutPin(rules, imageId).pin, { image_id: imageId, position }] }),
    words.photo.pinned(position),
    after,
  );

export const unpin = (galleryId: string, imageId: string, after: () => void) =>
  changeRules(galleryId, (rules) => withoutPin(rules, imageId), words.photo.unpinned, after);

export const hide = (galleryId: string, imageIds: string[], after: () => void) =>
  changeRules(
    galleryId,
    (rules) => ({ ...rules, exclude: [...rules.exclude, ...imageIds.map((image_id) => ({ image_id }))] }),
    words.photo.hidden(imageIds.length),
    after,
  );

const put = (gallery_id: string, image_id: string) => api.put('/galleries/{gallery_id}/images/{image_id}', { path: { gallery_id, image_id } });
const takeOut = (gallery_id: string, image_id: string) => api.delete('/galleries/{gallery_id}/images/{image_id}', { path: { gallery_id, image_id } });

/** Puts images into another gallery, and takes them out of this one unless `keep`. */
export async function move(imageIds: string[], from: string, to: { gallery_id: string; name: string }, keep: boolean, after: () => void): Promise<void> {
  await inParallel(PARALLEL, imageIds, (id) => put(to.gallery_id, id));
  if (!keep) await inParallel(PARALLEL, imageIds, (id) => takeOut(from, id));
  after();
  const back = async () => {
    await inParallel(PARALLEL, imageIds, (id) => put(from, id));
    await inParallel(PARALLEL, imageIds, (id) => takeOut(to.gallery_id, id));
    after();
  };
  notify(words.photo.moved(imageIds.length, to.name), { action: { label: words.undo, run: () => void attempt(back) } });
}

/** Takes images off every list now, and deletes them once it cannot be undone any more. */
export function remove(imageIds: string[], after: () => void): void {
  const restore = () => {
    removed.value = new Set([...removed.value].filter((id) => !imageIds.includes(id)));
    after();
  };
  removed.value = new Set([...removed.value, ...imageIds]);
  const work = async () => {
    const all = inParallel(PARALLEL, imageIds, (image_id) => api.delete('/images/{image_id}', { path: { image_id }, keepalive: true }));
    if (!(await attempt(() => all))) restore();
  };
  undoable(words.photo.deleted(imageIds.length), words.undo, () => void work(), restore);
}
