/** Signing in and out. The server keeps the session in an HttpOnly cookie, so the page never holds a key. */

import { signal } from '@preact/signals';
import { api, wordsOf } from '../api/index.js';
import { openedAt, serverNews } from '../api/http.js';
import { openedBy, ticketIn } from '../lib/route.js';
import { words } from '../words/index.js';
import { go } from './route.js';

export const session = signal<'unknown' | 'out' | 'in'>('unknown');
/** The reason why nobody is signed in, in a sentence. */
export const sessionProblem = signal<string | null>(null);
/** The server's public URL, if the page was opened at another address. */
export const otherPublicUrl = signal<string | null>(null);

/** Set in the tab while a ticket is being redeemed: a reload in between may have used it up. */
const REDEEMING = 'eyeline.redeeming';

export async function startSession(): Promise<void> {
  const ticket = ticketIn(location.hash);
  try {
    if (ticket) {
      // Taken out of the address first: a reload or a copied address must not carry it.
      go(openedBy(location.hash), { replace: true });
      await redeem(ticket);
    }
    const answer = await api.get('/session');
    otherPublicUrl.value = openedAt(answer.public_url, location.origin) ? answer.public_url : null;
    const isInterrupted = wasInterrupted();
    if (answer.signed_in) sessionProblem.value = null;
    else if (isInterrupted) sessionProblem.value = words.signIn.spentLink;
    session.value = answer.signed_in ? 'in' : 'out';
  } catch (error) {
    session.value = 'out';
    sessionProblem.value = wordsOf(error);
  }
}

async function redeem(ticket: string): Promise<void> {
  tabStorage((storage) => storage.setItem(REDEEMING, '1'));
  try {
    await api.post('/session', { body: { ticket } });
  } catch (error) {
    if ((error as { temporary?: boolean }).temporary) throw error;
    sessionProblem.value = words.signIn.spentLink;
  }
  tabStorage((storage) => storage.removeItem(REDEEMING));
}

/** True once after a load of the page that ended while it redeemed a ticket. */
const wasInterrupted = (): boolean => tabStorage((storage) => {
  const found = storage.getItem(REDEEMING) !== null;
  storage.removeItem(REDEEMING);
  return found;
}) ?? false;

/** Undefined where the browser allows no storage. */
function tabStorage<T>(use: (storage: Storage) => T): T | undefined {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}

export async function signIn(adminKey: string): Promise<void> {
  await api.post('/session', { body: { admin_key: adminKey } });
  await startSession();
}

export async function signOut(): Promise<void> {
  await api.delete('/session').catch(() => {});
  sessionProblem.value = null;
  session.value = 'out';
  go('#/', { replace: true });
}

serverNews.addEventListener('signed-out', () => {
  if (session.value !== 'in') return;
  sessionProblem.value = words.signIn.ended;
  session.value = 'out';
});
addEventListener('hashchange', () => {
  if (ticketIn(location.hash)) void startSession();
});
