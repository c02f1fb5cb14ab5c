/** The few helpers the page needs around the DOM, and how an error is shown near where it belongs. */

import { fieldWords } from './api.js';

export const $ = (selector, root = document) => root.querySelector(selector);

/** A fresh copy of the one element inside `<template id>`. */
export const fromTemplate = (id) => $(`#${id}`).content.firstElementChild.cloneNode(true);

/** Shows `text` in a message line, or hides the line when there is nothing to say. */
export function say(element, text) {
  element.textContent = text ?? '';
  element.hidden = !text;
}

/** What to tell a person about any error. */
export const wordsOf = (error) => error.words ?? `Something in this page went wrong: ${error.message}`;

/**
 * Says in which files the `<img>` of a `<picture>` finds an item: for browsers that know WebP in that, where it was
 * made. No `item`: in none.
 */
export function setSources(image, item, sizes = '') {
  const source = $('source', image.parentElement);
  for (const [element, srcset] of [[source, item?.srcset_webp], [image, item?.srcset]]) {
    element.sizes = sizes;
    if (srcset) element.srcset = srcset;
    else element.removeAttribute('srcset');
  }
}

/** Takes earlier errors off a form. */
export function clearProblems(form) {
  say($('.problem', form), '');
  for (const note of form.querySelectorAll('.field-problem')) say(note, '');
  for (const field of form.elements) field.removeAttribute('aria-invalid');
}

/**
 * Shows an error in a form: each field's sentences under that field (its note is `#<field id>-problem`), all that
 * has no field here in the form's own message line.
 */
export function showProblems(form, error) {
  clearProblems(form);
  const rest = [];
  let first = null;
  for (const [name, sentences] of Object.entries(error.errors ?? {})) {
    const field = name && form.elements.namedItem(name);
    const note = field && document.getElementById(`${field.id}-problem`);
    if (!note) {
      rest.push(fieldWords([name, sentences]));
      continue;
    }
    say(note, [].concat(sentences).join(' '));
    field.setAttribute('aria-invalid', 'true');
    first ??= field;
  }
  if (!first || rest.length) say($('.problem', form), [error.message, ...rest].join(' '));
  first?.focus();
}

/** Runs `work` with the form's button disabled, so that a double click sends nothing twice. */
export async function submitting(form, work) {
  const button = $('button[type=submit]', form);
  clearProblems(form);
  button.disabled = true;
  try {
    await work();
    return true;
  } catch (error) {
    showProblems(form, error);
    return false;
  } finally {
    button.disabled = false;
  }
}
