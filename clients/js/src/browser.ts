/** `/eyeline.js`: the package, begun by its own script element. */

import { createTracker, type Consent, type Tracker } from './index.js';

export { createTracker };

declare const SCRIPT_URL: string;
declare global {
  interface Window {
    /** The tracker of the script element with `data-application`. */
    eyeline?: Tracker;
  }
}

for (const { src, dataset } of document.querySelectorAll<HTMLScriptElement>('script[data-application]')) {
  if (src !== SCRIPT_URL) continue;
  const { application = '', host, consent, flush, dwell, debug } = dataset;
  window.eyeline ??= createTracker({
    application,
    debug: debug !== undefined,
    ...(host ? { host } : {}),
    ...(consent ? { consent: consent as Consent } : {}),
    ...(flush ? { flush_ms: Number(flush) } : {}),
    ...(dwell ? { dwell_ms: Number(dwell) } : {}),
  });
}

const ELEMENT = 'eyeline-gallery';
const load = () => import(new URL('eyeline-gallery.js', SCRIPT_URL).href);
if (document.querySelector(ELEMENT)) {
  load();
} else {
  const isElement = (node: Node) => node instanceof Element && (node.matches(ELEMENT) || node.querySelector(ELEMENT));
  const observer = new MutationObserver((changes) => {
    if (!changes.some(({ addedNodes }) => [...addedNodes].some(isElement))) return;
    observer.disconnect();
    load();
  });
  observer.observe(document, { childList: true, subtree: true });
}
