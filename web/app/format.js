/** Small words and numbers: sizes, counts, ids. */

const UNITS = ['bytes', 'KB', 'MB', 'GB'];

/** A size for people, in steps of 1,000: `0 bytes`, `12 KB`, `4.2 MB`. */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const text = unit === 0 || value >= 9.95 ? Math.round(value).toString() : value.toFixed(1).replace(/\.0$/, '');
  if (unit === 0 && count === 1) return '1 byte';
  return `${text} ${UNITS[unit]}`;
}

/** `1 photo`, `2 photos`. */
export const plural = (count, word) => `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;

/** A short count for a tile: `950`, `1.2k`, `34k`, `5.6M`. */
export function short(count) {
  const digits = (value) => (value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value).toString());
  if (count < 1000) return String(count);
  if (count < 999_500) return `${digits(count / 1000)}k`;
  return `${digits(count / 1_000_000)}M`;
}

/**
 * A random UUID. `crypto.randomUUID` exists only on https and localhost, and this page is also opened by the
 * server's plain address from a phone.
 */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const raw = crypto.getRandomValues(new Uint8Array(16));
  raw[6] = (raw[6] & 0x0f) | 0x40;
  raw[8] = (raw[8] & 0x3f) | 0x80;
  const hex = Array.from(raw, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
