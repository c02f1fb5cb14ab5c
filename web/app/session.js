/** Signing in and out. The server keeps the session in an HttpOnly cookie, so this page never holds a key. */

import { api } from './api.js';
import { $, say, submitting } from './dom.js';
import { parseRoute, writeRoute } from './route.js';

const LINK_FAILED = 'That admin link does not work any more: each opens once, and not for long. '
  + 'Restart the server for a new one, or paste the admin key.';

/**
 * Connects the sign-in form and the one-time links. `onChange(true|false)` is called whenever the page is signed in
 * or out, and once at the start.
 */
export function connectSession({ form, signOut, onChange }) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const field = form.elements.admin_key;
    const signedIn = await submitting(form, () => api.signIn({ admin_key: field.value.trim() }));
    if (!signedIn) return;
    field.value = '';
    onChange(true);
  });
  signOut.addEventListener('click', async () => {
    await api.signOut().catch(() => {});
    onChange(false);
  });
  addEventListener('hashchange', () => {
    if (parseRoute(location.hash).ticket) begin(form, onChange);
  });
  return begin(form, onChange);
}

/** Uses the ticket in the address, if there is one, or asks whether the cookie is still good. */
async function begin(form, onChange) {
  const route = parseRoute(location.hash);
  const line = $('.problem', form);
  try {
    if (route.ticket) {
      // Taken out of the address first: a reload or a copied address must not carry it.
      writeRoute(route);
      if (await redeem(route.ticket, line)) return onChange(true);
    }
    onChange((await api.session()).signed_in);
  } catch (error) {
    onChange(false);
    say(line, error.words ?? error.message);
  }
}

async function redeem(ticket, line) {
  try {
    await api.signIn({ ticket });
    return true;
  } catch (error) {
    if (error.temporary) throw error;
    say(line, LINK_FAILED);
    return false;
  }
}
