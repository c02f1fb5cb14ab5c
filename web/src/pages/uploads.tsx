/** The queue of uploads, at the foot of the page: a line that unfolds into a list. */

import { useSignal } from '@preact/signals';
import { bytes } from '../lib/format.js';
import { tally, type Upload } from '../lib/upload.js';
import { projectId } from '../state/route.js';
import { uploadItems, uploadNote, uploads } from '../state/uploads.js';
import { Icon } from '../ui/index.js';
import { words } from '../words/index.js';

const text = words.upload;

export function UploadPanel() {
  const isOpen = useSignal(false);
  const items = uploadItems.value;
  if (items.length === 0 && !uploadNote.value) return null;
  const { done, failed, total } = tally(items);
  const missing = items.filter(({ isMissing }) => isMissing).length;
  const isBusy = done + failed < total;
  const line = isBusy ? text.progress(done, total, failed) : text.finished(done, failed);
  const sent = items.reduce((sum, item) => sum + (item.state === 'waiting' ? 0 : item.sent), 0);
  const size = items.reduce((sum, item) => sum + item.size, 0);
  return (
    <section class="uploads" aria-label={text.title}>
      {uploadNote.value && <p class="upload-note" role="alert">{uploadNote.value}<button type="button" class="icon-button" aria-label={words.close} onClick={() => (uploadNote.value = null)}><Icon name="close" /></button></p>}
      {missing > 0 && <p class="upload-note" role="alert">{text.missingNote(missing)}</p>}
      {items.length > 0 && (
        <>
          <div class="bar">
            <button type="button" class="quiet unfold" aria-expanded={isOpen.value} title={isOpen.value ? text.hide : text.show} onClick={() => (isOpen.value = !isOpen.value)}>
              <Icon name="chevron" />{line}
            </button>
            <div class="right">
              {items.some(({ state }) => state === 'waiting' || state === 'init') && <button type="button" class="quiet" onClick={() => uploads.stop()}>{text.stop}</button>}
              {items.some(canOpen) && <button type="button" class="primary" onClick={() => void uploads.openMissing()}>{text.goOn}</button>}
              {items.some(canRetry) && <button type="button" class="quiet" onClick={() => uploads.items.forEach((item) => uploads.retry(item))}>{text.retryAll}</button>}
              {done > 0 && <button type="button" class="quiet" onClick={() => uploads.clear('done')}>{text.clear}</button>}
              {failed > 0 && <button type="button" class="quiet" onClick={() => uploads.clear('error')}>{text.clearFailed}</button>}
            </div>
          </div>
          {isBusy && <progress max={Math.max(1, size)} value={sent} aria-label={line} />}
          <p class="spoken" role="status">{isBusy ? '' : line}</p>
          {isOpen.value && <ul tabIndex={0} aria-label={text.title}>{[...items].sort(failedFirst).map((item) => <Row key={item.id} item={item} />)}</ul>}
        </>
      )}
    </section>
  );
}

const failedFirst = (a: Upload, b: Upload) => Number(b.state === 'error') - Number(a.state === 'error');

const canRetry = (item: Upload) => item.state === 'error' && !item.hopeless && item.file !== null;

/** A file that the browser opens again once that is allowed. */
const canOpen = (item: Upload) => Boolean(item.isMissing && item.handle);

const stateWords = (item: Upload): string => {
  if (item.isMissing) return text.stateMissing;
  if (item.isDuplicate) return text.stateDuplicate;
  return item.state === 'init' ? text.sending(bytes(item.sent), bytes(item.size)) : text.states[item.state];
};

function Row({ item }: { item: Upload }) {
  return (
    <li data-state={item.state}>
      <span class="name">{item.name}{item.projectId !== projectId.value && <small> · {text.elsewhere}</small>}</span>
      <span class="state">{stateWords(item)}</span>
      {canRetry(item) && <button type="button" class="quiet" aria-label={text.retryOne(item.name)} onClick={() => uploads.items.forEach((each) => each.id === item.id && uploads.retry(each))}>{text.retry}</button>}
      {item.problem && <p class="problem">{item.problem}</p>}
    </li>
  );
}
