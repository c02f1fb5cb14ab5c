/** Helpers around the DOM. */

/** Makes an element. Its properties and children are set as such: no markup is parsed. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  attributes: Record<string, string> = {},
  ...children: Node[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  // The class is for the style sheet in here, the part for that of the page.
  if (className) {
    element.className = className;
    element.setAttribute('part', className);
  }
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An http or https address, or null. A link from a catalogue may be anything, also a script. */
export const webAddress = (link: string | null | undefined): string | null =>
  link && /^https?:\/\//i.test(link) ? link : null;

/** Sets an attribute, or removes it if there is no value. */
export function setOrRemove(element: Element, name: string, value: string | null | undefined): void {
  if (value) element.setAttribute(name, value);
  else element.removeAttribute(name);
}
