/** One photo, large: a dialog with arrows, escape and swipe. */

import { $, setSources } from './dom.js';
import { plural } from './format.js';
import { nameOf } from './gallery-view.js';
import { paint } from '../dist/shared.js';

/** A finger has to travel this far sideways for a swipe, in CSS pixels. */
const SWIPE_PX = 60;

/** Events: `close` (detail: the image last shown) and `near-end` (the list should grow). */
export class Lightbox extends EventTarget {
  #dialog;
  #items = [];
  #index = 0;
  #touchX = null;

  constructor(dialog) {
    super();
    this.#dialog = dialog;
    $('.previous', dialog).addEventListener('click', () => this.#step(-1));
    $('.next', dialog).addEventListener('click', () => this.#step(1));
    $('.close', dialog).addEventListener('click', () => dialog.close());
    dialog.addEventListener('click', ({ target }) => target.matches('dialog, .stage') && dialog.close());
    dialog.addEventListener('keydown', ({ key }) => {
      if (key === 'ArrowLeft') this.#step(-1);
      if (key === 'ArrowRight') this.#step(1);
    });
    dialog.addEventListener('touchstart', ({ touches }) => {
      this.#touchX = touches.length === 1 ? touches[0].clientX : null;
    }, { passive: true });
    dialog.addEventListener('touchend', ({ changedTouches: [touch] }) => this.#swipe(touch.clientX));
    dialog.addEventListener('close', () => {
      setSources($('img', dialog), null);
      $('img', dialog).removeAttribute('src');
      this.dispatchEvent(new CustomEvent('close', { detail: this.#items[this.#index] }));
    });
    $('img', dialog).addEventListener('load', () => dialog.classList.add('loaded'));
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** Opens at `index`; the list itself is kept, so that items added to it later are reached too. */
  open(items, index) {
    this.#items = items;
    this.#dialog.showModal();
    this.#show(index);
  }

  #step(by) {
    const index = this.#index + by;
    if (index >= 0 && index < this.#items.length) this.#show(index);
  }

  #swipe(x) {
    if (this.#touchX === null) return;
    const travelled = x - this.#touchX;
    if (Math.abs(travelled) > SWIPE_PX) this.#step(travelled < 0 ? 1 : -1);
    this.#touchX = null;
  }

  #show(index) {
    this.#index = index;
    const item = this.#items[index];
    const dialog = this.#dialog;
    dialog.classList.remove('loaded');
    const frame = $('.frame', dialog);
    frame.style.setProperty('--aspect', item.width && item.height ? (item.width / item.height).toFixed(4) : '1.5');
    frame.style.setProperty('--natural', item.width ? `${item.width}px` : '100vw');
    frame.classList.toggle('has-placeholder', paint($('canvas', frame), item.thumbhash));
    const image = $('img', frame);
    image.alt = nameOf(item);
    setSources(image, item, '100vw');
    image.src = item.url ?? item.preview;
    this.#caption(item, index);
    this.#neighbours(index);
    if (index >= this.#items.length - 5) this.dispatchEvent(new Event('near-end'));
  }

  #caption(item, index) {
    const facts = [`Place ${item.position ?? index + 1}`];
    if (item.width && item.height) facts.push(`${item.width} × ${item.height}`);
    if (item.weight !== undefined && item.weight !== null) {
      facts.push(`weight ${item.weight} (${plural(item.views, 'view')}, ${plural(item.clicks, 'click')})`);
    }
    $('.name', this.#dialog).textContent = nameOf(item);
    $('.facts', this.#dialog).textContent = facts.join(' · ');
    const link = $('.item-link', this.#dialog);
    // The link is the catalogue's, not ours: only web addresses are followed, never scripts.
    link.hidden = !/^https?:\/\//i.test(item.link ?? '');
    if (!link.hidden) link.href = item.link;
  }

  #neighbours(index) {
    const previous = $('.previous', this.#dialog);
    const next = $('.next', this.#dialog);
    const focused = document.activeElement;
    previous.disabled = index === 0;
    next.disabled = index >= this.#items.length - 1;
    // A button that is disabled under the keyboard's focus would swallow the arrow keys.
    if (focused?.disabled) this.#dialog.focus();
  }
}
