/** The sentences of the page. A further language is a further file of the same shape. */

import { en } from './en.js';

export const words = en;
