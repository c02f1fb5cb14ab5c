/** Finds out why the server's answer cannot be read: a browser tells a page only that it cannot. */

/** The checks. `debug` names the first one that fails. */
export type Check = 'offline' | 'csp' | 'server' | 'origin' | 'application' | 'consent' | 'event';

let blocked = '';
globalThis.document?.addEventListener('securitypolicyviolation', ({ blockedURI }) => {
  blocked += blockedURI;
});

/** The check that fails, and a sentence on what to do. */
export async function diagnose(host: string, application: string): Promise<[Check, string]> {
  if (globalThis.navigator?.onLine === false) return ['offline', 'The browser is offline.'];
  const reaches = (path: string) =>
    fetch(host + path, { credentials: 'omit', cache: 'no-store' }).then(
      () => true,
      () => false,
    );
  // Every page may read the script.
  if (!(await reaches('/eyeline.js'))) {
    return blocked.includes(new URL(host).origin)
      ? ['csp', `The page's Content-Security-Policy needs ${host} in connect-src.`]
      : ['server', `${host} cannot be reached.`];
  }
  // A page may read this if any application lists its origin.
  return (await reaches('/healthz'))
    ? ['application', `The application ${application} is unknown, or its allowed_origins lack ${location.origin}.`]
    : ['origin', `The allowed_origins of the application ${application} lack ${location.origin}.`];
}
