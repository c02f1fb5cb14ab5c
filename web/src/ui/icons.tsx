/** Icons of 16 by 16, drawn with the colour of the text. */

const PATHS = {
  add: 'M8 3v10M3 8h10',
  api: 'm5 4-4 4 4 4m6-8 4 4-4 4',
  check: 'm3 8.5 3.2 3L13 4.5',
  chevron: 'm4 6 4 4 4-4',
  close: 'm4 4 8 8m0-8-8 8',
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  download: 'M8 2v8m0 0 3-3m-3 3L5 7M2.5 13.5h11',
  edit: 'm3 13 .6-2.8L11 2.8l2.2 2.2-7.4 7.4L3 13Z',
  events: 'M9 1.5 3 9h4.5L7 14.5 13 7H8.5L9 1.5Z',
  gallery: 'M1.5 2.5h6v5h-6zM9.5 2.5h5v8h-5zM1.5 9.5h6v4h-6zM9.5 12.5h5v1h-5z',
  hide: 'm2 2 12 12M6.2 3.9A6.6 6.6 0 0 1 8 3.5c4.4 0 7 4.5 7 4.5a12 12 0 0 1-1.9 2.3M3.5 5.2A11.7 11.7 0 0 0 1 8s2.6 4.5 7 4.5a6.8 6.8 0 0 0 2.6-.5',
  images: 'M1.5 2.5h13v11h-13zM1.5 11l3.5-3.5L8 10l2.5-2 4 3.5M5 5.5v.01',
  insight: 'M2 13.5V8m4 5.5V3m4 10.5V6m4 7.5V1.5',
  keys: 'M1.5 4h13v8.5h-13zM4 6.8v.01M6.7 6.8v.01M9.3 6.8v.01M12 6.8v.01M5 9.8h6',
  leave: 'M6 2.5H2.5v11H6M6.5 8h8m0 0-3-3m3 3-3 3',
  link: 'M6.5 9.5a2.8 2.8 0 0 0 4 0l3-3a2.8 2.8 0 0 0-4-4l-.8.8m.8 3.2a2.8 2.8 0 0 0-4 0l-3 3a2.8 2.8 0 0 0 4 4l.8-.8',
  menu: 'M8 3.5v.01M8 8v.01M8 12.5v.01',
  move: 'M1.5 4h5l1.5 2h6.5v7h-13zM7 9.5h4m0 0L9.5 8M11 9.5 9.5 11',
  pause: 'M5 3v10M11 3v10',
  pin: 'm5.5 2 5 0-.6 4L12 8.5H4L6.1 6 5.5 2ZM8 8.5V14',
  play: 'm4.5 2.5 8 5.5-8 5.5z',
  reprocess: 'M13.5 8a5.5 5.5 0 1 1-1.8-4.1M13.5 1.5v3h-3',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9Zm3.3 7.8 3.5 3.5',
  settings: 'M2 4.5h6m4 0h2m-4 0a1.7 1.7 0 1 0 0 .01M2 11.5h2m4 0h6m-8 0a1.7 1.7 0 1 0 0 .01',
  table: 'M1.5 2.5h13v11h-13zM1.5 6h13M1.5 9.7h13M6 6v7.5',
  theme: 'M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11',
  trash: 'M2.5 4.5h11M6 4.5v-2h4v2m-6 0 .5 9h7l.5-9M6.5 7v4m3-4v4',
  up: 'M8 13V3.5m0 0L4 7.5m4-4 4 4',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}

export const Brand = () => (
  <svg viewBox="0 0 32 32" aria-hidden="true">
    <path d="M2 16s5.5-9 14-9 14 9 14 9-5.5 9-14 9S2 16 2 16Z" fill="none" stroke="currentColor" stroke-width="2.5" />
    <circle cx="16" cy="16" r="4.5" fill="currentColor" />
  </svg>
);
