/** Files of catalogues: their media type, and the presets that read exports of shops. */

const TYPES: Record<string, string> = {
  csv: 'text/csv', tsv: 'text/tab-separated-values', txt: 'text/tab-separated-values',
  json: 'application/json', ndjson: 'application/x-ndjson', jsonl: 'application/x-ndjson',
};

/** The endings for a file field. */
export const CATALOGUE_ENDINGS = Object.keys(TYPES).map((ending) => `.${ending}`).join(',');

/** The media type of a catalogue by the ending of its name; null for another file. */
export function catalogueType(name: string): string | null {
  const ending = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  return TYPES[ending] ?? null;
}

/** The names by which the API knows the exports of shops; the empty one reads the API's own columns. */
export const PRESETS = ['', 'google_merchant', 'shopify', 'woocommerce'] as const;
