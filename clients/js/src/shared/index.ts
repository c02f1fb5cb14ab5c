/** What the tracker, the element and the web application share. Nothing here knows a page or the API. */

export * from './backoff.js';
export * from './flip.js';
export * from './justify.js';
export * from './thumbhash.js';
