/** What the address bar says after `#`: which project, gallery and order are open, or a sign-in ticket. */

const KEYS = { project: 'p', gallery: 'g', order: 'order' };

/** `#p=…&g=…&order=newest` as `{project, gallery, order, ticket}`, each null when absent. */
export function parseRoute(hash) {
  const values = new URLSearchParams(hash.replace(/^#/, ''));
  const route = { ticket: values.get('ticket') };
  for (const [name, key] of Object.entries(KEYS)) route[name] = values.get(key);
  return route;
}

/** The hash for a route; the ticket is never put back. */
export function formatRoute(route) {
  const values = new URLSearchParams();
  for (const [name, key] of Object.entries(KEYS)) if (route[name]) values.set(key, route[name]);
  const text = values.toString();
  return text ? `#${text}` : '';
}

/** Replaces the address without a new entry in the history and without a `hashchange`. */
export function writeRoute(route) {
  history.replaceState(null, '', location.pathname + location.search + formatRoute(route));
}
