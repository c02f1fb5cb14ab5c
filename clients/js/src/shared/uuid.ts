/**
 * A UUIDv7 of `now` (milliseconds since 1970), by RFC 9562. Needs no `crypto.randomUUID`, which a page without HTTPS
 * lacks.
 */
export function uuid7(now = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const hex = Math.max(0, now).toString(16).padStart(12, '0').slice(-12) + random.slice(12);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The milliseconds since 1970 that a UUIDv7 was made at. */
export const timeOfUuid7 = (id: string): number => parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

export const isUuid = (text: string): boolean => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text);
