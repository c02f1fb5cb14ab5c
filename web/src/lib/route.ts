/** The part of the address after `#`: `#/gallery/ID/order?project=ID&photo=ID`. */

export interface Route {
  path: string[];
  params: Record<string, string>;
}

export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?');
  return { path: path.split('/').filter(Boolean).map(decode), params: Object.fromEntries(new URLSearchParams(search)) };
}

/** A segment that is no valid encoding is taken as it stands. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export function formatRoute({ path, params }: Route): string {
  const given = Object.entries(params).filter(([, value]) => value);
  const search = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

/** The one-time ticket of a sign-in link, `#ticket=…`; null in any other address. */
export const ticketIn = (hash: string): string | null => new URLSearchParams(hash.replace(/^#/, '')).get('ticket');

/** The page that a sign-in link opens: the gallery `g` of the project `p`, as `eyeline demo` prints them, or the start. */
export function openedBy(link: string): string {
  const given = new URLSearchParams(link.replace(/^#/, ''));
  const [project, gallery] = [given.get('p'), given.get('g')];
  if (!project) return '#/';
  return formatRoute({ path: gallery ? ['gallery', gallery] : ['gallery'], params: { project } });
}
