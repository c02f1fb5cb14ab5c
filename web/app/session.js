/** Signing in and out. The server keeps the session in an HttpOnly cookie, so this page never holds a key. */

import { api } from './api.js';
import { $, say, submitting } from './dom.js';
import { parseRoute, writeRoute } from './route.js';

const LINK_FAILED = 'That admin link does not work any more: each opens once, and not for long. '
  + 'Restart the server for a new one, or paste the admin key.';

/**
 * Connects the sign-in form and the one-time links. Calls `onChange(signedIn)` at the start and after each change, and
 * `onPublicUrl` with the server's public URL before the first of them.
 */
export function connectSession({ form, signOut, onChange, onPublicUrl }) {
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
    if (parseRoute(location.hash).ticket) begin(form, onChange, onPublicUrl);
  });
  return begin(form, onChange, onPublicUrl);
}

/** Uses the ticket in the address, if there is one, or asks whether the cookie is still good. */
async function begin(form, onChange, onPublicUrl) {
  const route = parseRoute(location.hash);
  const line = $('.problem', form);
  try {
    if (route.ticket) {
      // Taken out of the address first: a reload or a copied address must not carry it.
      writeRoute(route);
      await redeem(route.ticket, line);
    }
    const session = await api.session();
    onPublicUrl(session.public_url);
    onChange(session.signed_in);
  } catch (error) {
    onChange(false);
    say(line, error.words ?? error.message);
  }
}

async function redeem(ticket, line) {
  try {
    await api.signIn({ ticket });
  } catch (error) {
    if (error.temporary) throw error;
    say(line, LINK_FAILED);
  }
}
