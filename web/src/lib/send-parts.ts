/** Sends a file in parts: those that have not arrived, a few at a time. */

import { inParallel } from './parallel.js';
import type { Send, Sending } from './send.js';

/** Larger files are sent in parts, which go on after a break. */
export const PARTS_ABOVE_BYTES = 16 * 1024 * 1024;
/** Links asked for in one call. They live 15 minutes. */
const LINKS_PER_CALL = 20;
/** Three files may be under way, and browsers open six connections. */
const PARALLEL = 2;

/** An answer of `POST /images/{image_id}/parts`. */
export interface PartLinks {
  parts: { number: number; upload_link: string; headers: Record<string, string> }[];
  /** The numbers of the parts that have arrived. */
  received: number[];
  part_bytes: number;
  count: number;
}

/** `ask(numbers)` gives links to parts; without a number it only says what has arrived. */
export async function sendParts(
  file: Blob,
  ask: (numbers: number[]) => Promise<PartLinks>,
  send: Send,
  { signal, onProgress }: Sending,
): Promise<void> {
  const { received, part_bytes, count } = await ask([]);
  const part = (number: number): Blob => file.slice((number - 1) * part_bytes, Math.min(number * part_bytes, file.size));
  const sent = new Map(received.map((number) => [number, part(number).size]));
  const tell = () => onProgress([...sent.values()].reduce((sum, bytes) => sum + bytes, 0));
  tell();
  const missing = Array.from({ length: count }, (_, index) => index + 1).filter((number) => !sent.has(number));
  for (let start = 0; start < missing.length; start += LINKS_PER_CALL) {
    signal.throwIfAborted();
    const { parts } = await ask(missing.slice(start, start + LINKS_PER_CALL));
    await inParallel(PARALLEL, parts, async ({ number, upload_link, headers }) => {
      const progress = (bytes: number) => {
        sent.set(number, bytes);
        tell();
      };
      await send(part(number), { upload_link, params: { method: 'PUT', headers } }, { signal, onProgress: progress });
      progress(part(number).size);
    });
  }
}
