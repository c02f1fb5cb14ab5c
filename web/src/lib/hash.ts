/** A larger file is not hashed, because the browser has to hold it as a whole. */
const HASHED_BYTES_MAX = 256_000_000;

/** The hexadecimal SHA-256 of a file; null on pages without HTTPS, where browsers compute none, and for huge files. */
export async function sha256Of(file: File): Promise<string | null> {
  if (!globalThis.crypto?.subtle || file.size > HASHED_BYTES_MAX) return null;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
