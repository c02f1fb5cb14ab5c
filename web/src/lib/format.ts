/** Numbers, sizes and times as people read them. Separators and dates follow the browser's language, digits the page's. */

const UNITS = ['bytes', 'KB', 'MB', 'GB'];

/** A size in steps of 1,000: `0 bytes`, `12 KB`, `4.2 MB`. */
export function bytes(count: number): string {
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

const MIB = 1024 * 1024;

/** A limit, which is set in whole mebibytes: `50 MiB`. Another size as [`bytes`] tells it. */
export const wholeUnits = (count: number): string => (count > 0 && count % MIB === 0 ? `${count / MIB} MiB` : bytes(count));

/** The formats of pictures by their media types: `JPEG, PNG, WebP`. A sequence is of the same format. */
export function typeNames(types: string[]): string {
  const names = types.map((type) => type.replace(/^image\/|-sequence$/g, '').toUpperCase().replace('WEBP', 'WebP'));
  return [...new Set(names)].join(', ');
}

/** Makes a formatter for each of its options once, when it is first used, because that is slow. */
export function formatters<Options, Formatter>(make: (options: Options) => Formatter): (options: Options) => Formatter {
  const made = new Map<string, Formatter>();
  return (options) => {
    const key = JSON.stringify(options);
    if (!made.has(key)) made.set(key, make(options));
    return made.get(key)!;
  };
}

const numbers = formatters((maximumFractionDigits: number) => new Intl.NumberFormat(undefined, { maximumFractionDigits, numberingSystem: 'latn' }));
const times = formatters((options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(undefined, options));

let zone: string | undefined;
/** The viewer's time zone. */
export const ownZone = (): string => (zone ??= Intl.DateTimeFormat().resolvedOptions().timeZone);

/** Loads the browser's data of the locale, for which the first use of each kind of formatter waits. */
export const warmUps = [() => numbers(3), ownZone, () => times(TIME)];

/** Small counts need no separator, and a page of those alone loads no data of the locale. */
export const number = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) < 1000 ? String(value) : numbers(3).format(value);

/** `1 photo`, `2 photos`. */
export const plural = (count: number, word: string): string => `${number(count)} ${word}${count === 1 ? '' : 's'}`;

/** A short count for a tile: `950`, `1.2k`, `34k`, `5.6M`. */
export function short(count: number): string {
  const digits = (value: number) => (value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : Math.round(value).toString());
  if (count < 1000) return String(count);
  if (count < 999_500) return `${digits(count / 1000)}k`;
  return `${digits(count / 1_000_000)}M`;
}

/** A share as a percentage: `12 %`, `0.4 %`. No line ends before the sign. */
export function percent(share: number): string {
  const value = share * 100;
  return `${numbers(Math.abs(value) < 10 ? 1 : 0).format(value)}\u00a0%`;
}

/** A change with its sign: `+12 %`. */
export const change = (share: number): string => (share > 0 ? '+' : '') + percent(share);

const TIME: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short' };

export const time = (text: string, options = TIME): string => times(options).format(new Date(text));

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [['day', 86_400], ['hour', 3600], ['minute', 60]];

/** `3 minutes ago`; of more than a week ago, the date. */
export function ago(text: string, now = Date.now()): string {
  const seconds = (Date.parse(text) - now) / 1000;
  if (Math.abs(seconds) > 7 * 86_400) return time(text, { dateStyle: 'medium' });
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
  return new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' }).format(Math.round(seconds / size), unit);
}

/** A duration in its largest unit: `3 minutes`; less than a second is `0 seconds`. */
export function lasted(ms: number): string {
  const seconds = Math.abs(ms) / 1000;
  const [unit, size] = STEPS.find(([, size]) => seconds >= size) ?? ['second', 1];
  return plural(Math.round(seconds / size), unit);
}
