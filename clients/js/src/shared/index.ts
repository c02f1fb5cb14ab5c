/** Code that the tracker, the element and the web application share. It knows neither a page nor the API. */

export * from './backoff.js';
export * from './flip.js';
export * from './justify.js';
export * from './thumbhash.js';
