import { useState } from 'preact/hooks';
import { sendVisitors } from '../state/demo.js';
import { attempt, notify } from '../state/notices.js';
import { deleteProject, demoApplication, gallery, project } from '../state/project.js';
import { Confirm, Icon } from '../ui/index.js';
import { words } from '../words/index.js';

const VISITORS = 100;
const text = words.demo;

/** Above the demo's gallery: visitors to send, and the way out. */
export function DemoPanel() {
  const [done, setDone] = useState<number | null>(null);
  const [isDeleting, setDeleting] = useState(false);
  const wave = async () => {
    setDone(0);
    await attempt(async () => notify(text.sent(VISITORS, await sendVisitors(demoApplication.value!, gallery.value!.gallery_id, VISITORS, setDone))));
    setDone(null);
  };
  return (
    <section class="demo" aria-label={text.title}>
      <p><strong>{text.title}</strong> {text.text}</p>
      <div class="line">
        <button type="button" class="primary" disabled={done !== null || !gallery.value} onClick={() => void wave()}>
          <Icon name="play" />{done === null ? text.visitors(VISITORS) : text.sending(done, VISITORS)}
        </button>
        <button type="button" class="quiet" onClick={() => setDeleting(true)}>{text.delete}</button>
      </div>
      {isDeleting && <Confirm title={text.delete} action={words.delete} run={() => deleteProject(project.value!.project_id)} onClose={() => setDeleting(false)}><p>{text.deleteText}</p></Confirm>}
    </section>
  );
}
