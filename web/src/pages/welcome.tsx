/** The first run: three ways to begin. */

import { useState } from 'preact/hooks';
import { startDemo } from '../state/demo.js';
import { attempt } from '../state/notices.js';
import { Icon } from '../ui/index.js';
import { words } from '../words/index.js';
import { FirstEvent } from './first-event.js';

const text = words.welcome;

export function Welcome() {
  const [step, setStep] = useState<string | null>(null);
  const [isSending, setSending] = useState(false);
  const demo = async () => {
    if (!(await attempt(() => startDemo(setStep)))) setStep(null);
  };
  return (
    <div class="page welcome">
      <h2 class="lead">{text.title}</h2>
      <ol class="ways">
        <li class="card">
          <h3>{text.demo.title}</h3>
          <p>{text.demo.text}</p>
          <button type="button" class="primary" disabled={step !== null} onClick={() => void demo()}><Icon name="play" />{step ?? text.demo.action}</button>
        </li>
        <li class="card">
          <h3>{text.photos.title}</h3>
          <p>{text.photos.text}</p>
          <button type="button" class="primary" onClick={() => document.getElementById('upload')!.click()}><Icon name="up" />{text.photos.action}</button>
        </li>
        <li class="card">
          <h3>{text.event.title}</h3>
          <p>{text.event.text}</p>
          <button type="button" class="primary" aria-expanded={isSending} onClick={() => setSending(!isSending)}><Icon name="events" />{text.event.action}</button>
        </li>
      </ol>
      {isSending && <FirstEvent />}
    </div>
  );
}
