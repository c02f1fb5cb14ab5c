/** One picture, large: a dialog with buttons, arrow keys, escape and swipe. */

import { make, setOrRemove } from './dom.js';
import { nameOf } from './grid.js';
import type { Item } from './pages.js';
import type { Words } from './words.js';

/** A finger has to travel this far sideways for a swipe, in CSS pixels. */
const SWIPE_PX = 60;

export class Lightbox {
  readonly element: HTMLDialogElement;
  #words: Words;
  #items: Item[] = [];
  #index = 0;
  #source = make('source', '', { type: 'image/webp', sizes: '100vw' });
  #image = make('img', 'lightbox-image', { sizes: '100vw' });
  #caption = make('p', 'caption', { 'aria-live': 'polite' });
  #previous: HTMLButtonElement;
  #next: HTMLButtonElement;

  /** Calls `nearEnd` when more items are needed, and `closed` with the item that was shown last. */
  constructor(
    words: Words,
    private nearEnd: () => void,
    closed: (item: Item | undefined) => void,
  ) {
    this.#words = words;
    const button = (name: string, sign: string, label: string, act: () => void) => {
      const made = make('button', name, { type: 'button', 'aria-label': label });
      made.textContent = sign;
      made.addEventListener('click', act);
      return made;
    };
    const close = button('close', '✕', words.close, () => this.element.close());
    this.#previous = button('previous', '‹', words.previous, () => this.#step(-1));
    this.#next = button('next', '›', words.next, () => this.#step(1));
    const picture = make('picture', '', {}, this.#source, this.#image);
    this.element = make(
      'dialog',
      'lightbox',
      { 'aria-label': words.gallery },
      close,
      picture,
      this.#previous,
      this.#caption,
      this.#next,
    );
    this.element.addEventListener('close', () => closed(this.#items[this.#index]));
    this.element.addEventListener('keydown', ({ key }) => {
      if (key === 'ArrowRight') this.#step(this.#direction);
      if (key === 'ArrowLeft') this.#step(-this.#direction);
    });
    let from: number | undefined;
    this.element.addEventListener('touchstart', ({ touches }) => (from = touches.length === 1 ? touches[0]!.clientX : undefined), {
      passive: true,
    });
    this.element.addEventListener('touchend', ({ changedTouches }) => {
      const travelled = changedTouches[0]!.clientX - (from ?? NaN);
      if (Math.abs(travelled) > SWIPE_PX) this.#step(travelled < 0 ? this.#direction : -this.#direction);
    });
  }

  /** Opens at `index`. Keeps the list itself, so items that are added later are reached too. */
  open(items: Item[], index: number): void {
    this.#items = items;
    this.element.showModal();
    this.#show(index);
  }

  get #direction(): number {
    return getComputedStyle(this.element).direction === 'rtl' ? -1 : 1;
  }

  #step(by: number): void {
    if (this.#items[this.#index + by]) this.#show(this.#index + by);
  }

  #show(index: number): void {
    this.#index = index;
    const item = this.#items[index]!;
    setOrRemove(this.#source, 'srcset', item.srcset_webp);
    setOrRemove(this.#image, 'srcset', item.srcset);
    this.#image.src = item.url ?? item.preview ?? '';
    this.#image.alt = this.#caption.textContent = nameOf(item, this.#words);
    if (index >= this.#items.length - 5) this.nearEnd();
    this.#previous.disabled = !index;
    this.#next.disabled = index >= this.#items.length - 1;
    // A button that is disabled under the focus would swallow the arrow keys.
    if (!this.element.querySelector(':focus')) this.element.focus();
  }
}
