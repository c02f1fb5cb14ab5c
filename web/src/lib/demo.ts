/** The demo's pictures and visitors, without network: what each picture shows, and what each visitor does. */

export interface DemoPicture {
  name: string;
  width: number;
  height: number;
  /** Degrees of the colour circle. */
  hue: number;
  /** The probability that a visitor who looks at it clicks. */
  appeal: number;
}

const picture = (name: string, width: number, height: number, hue: number, appeal: number): DemoPicture => ({ name, width, height, hue, appeal });

/** The favourites are far down in the order of age, so that learning is seen. */
export const PICTURES: DemoPicture[] = [
  picture('Golden hour', 1500, 1000, 36, 0.55), picture('First snow', 1200, 1500, 205, 0.42),
  picture('Harbour at dusk', 1600, 900, 265, 0.35), picture('Red dunes', 1500, 1000, 14, 0.28),
  picture('Pine valley', 1000, 1400, 150, 0.12), picture('Night ferry', 1600, 1000, 228, 0.1),
  picture('Sea glass', 1300, 1000, 178, 0.08), picture('Heather', 1500, 1000, 312, 0.06),
  picture('Dry grass', 1200, 1200, 52, 0.05), picture('Grey morning', 1500, 1000, 215, 0.04),
  picture('Fog line', 1600, 900, 190, 0.03), picture('Low tide', 1200, 1000, 28, 0.02),
];

/** Pseudo-random numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randoms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface SeenItem {
  image_id: string;
  name?: string | null;
  position?: number | null;
  place?: string | null;
}

export interface DemoEvent {
  session_id: string;
  category: 'gallery';
  name: 'view' | 'click';
  data: { gallery_id: string; image_id: string; position?: number | null };
  place?: string | null;
  timestamp: string;
}

export const galleryEvent = (name: 'view' | 'click', session_id: string, gallery_id: string, item: SeenItem, now = new Date()): DemoEvent => ({
  session_id, category: 'gallery', name,
  data: { gallery_id, image_id: item.image_id, position: item.position ?? null },
  ...(item.place && { place: item.place }),
  timestamp: now.toISOString(),
});

const nameOnly = (name: string | null | undefined): string => (name ?? '').replace(/\.\w+$/, '');

/** One visitor's events from the top on: views of some items, and clicks on those that appeal. */
export function visit(session: string, gallery: string, items: SeenItem[], random: () => number): DemoEvent[] {
  const depth = 3 + Math.floor(random() * (items.length - 2));
  return items.slice(0, depth).flatMap((item) => {
    const appeal = PICTURES.find(({ name }) => name === nameOnly(item.name))?.appeal ?? 0.05;
    const seen = galleryEvent('view', session, gallery, item);
    return random() < appeal ? [seen, galleryEvent('click', session, gallery, item)] : [seen];
  });
}
