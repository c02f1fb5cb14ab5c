/** The few helpers that the API reference needs around the DOM. */

export const $ = (selector, root = document) => root.querySelector(selector);

/** Shows `text` in a message line, or hides the line when there is nothing to say. */
export function say(element, text) {
  element.textContent = text ?? '';
  element.hidden = !text;
}

/** The sentence to show for any error. */
export const wordsOf = (error) => error.message;
