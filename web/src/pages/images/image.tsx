/** One image of the project: its picture, what can be done with it, its details, and its way to the first click. */

import { api, type Schemas } from '../../api/index.js';
import { isMendable } from '../../lib/upload.js';
import { notify } from '../../state/notices.js';
import { Action, Dialog, Icon, Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { Details } from '../gallery/panel.js';
import { Journey } from './journey.js';

type Image = Schemas['Image'];

/** True if another attempt can help a failed image. */
export const isRetried = ({ state, error_code, versions }: Image): boolean => state === 'error' && isMendable(error_code) && Boolean(versions.original);

export function Retry({ image: { image_id }, onChanged }: { image: Image; onChanged: () => void }) {
  const retry = async () => {
    await api.post('/images/{image_id}/reprocess', { path: { image_id } });
    notify(words.photo.reprocessing);
    onChanged();
  };
  return <Action class="quiet" run={retry}><Icon name="reprocess" />{words.upload.retry}</Action>;
}

interface ImageDialogProps {
  id: string;
  onRemove: (image: Image) => void;
  onChanged: () => void;
  onClose: () => void;
}

export function ImageDialog({ id, onRemove, onChanged, onClose }: ImageDialogProps) {
  const load = useLoad<Image>(id, () => api.get('/images/{image_id}', { path: { image_id: id } }));
  return (
    <Dialog title={load.data?.filename ?? words.nav.images} onClose={onClose} wide>
      <Loaded load={load}>
        {(image) => {
          const { versions, url, error } = image;
          const picture = versions.big_thumb ?? versions.thumb ?? url;
          return (
            <div class="image">
              <div class="page">
                {picture && <img class="whole-picture" src={picture} alt={image.filename} width={image.width ?? undefined} height={image.height ?? undefined} />}
                {error && <p class="problem">{error}</p>}
                <div class="line">
                  {isRetried(image) && <Retry image={image} onChanged={() => (onChanged(), load.reload())} />}
                  {versions.original && <a class="button" href={versions.original} download={image.filename}><Icon name="download" />{words.photo.download}</a>}
                  <button type="button" class="quiet danger" onClick={() => (onRemove(image), onClose())}><Icon name="trash" />{words.photo.delete}</button>
                </div>
                <Journey image={image} />
              </div>
              <section class="page"><Details image={image} onSaved={(saved) => (load.set(saved), onChanged())} /></section>
            </div>
          );
        }}
      </Loaded>
    </Dialog>
  );
}
