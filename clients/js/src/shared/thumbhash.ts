/**
 * ThumbHash placeholders: about 25 bytes that unfold into a blurred picture. Written after the public description of
 * the format by Evan Wallace (https://evanw.github.io/thumbhash/).
 */

/** Decodes base64 (either alphabet, padding optional) into bytes. */
export function fromBase64(text: string): Uint8Array {
  const raw = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(raw, (char) => char.charCodeAt(0));
}

/** Reads the packed header: averages, scales and how many coefficients each channel has. */
function header(hash: Uint8Array) {
  const low = hash[0]! | (hash[1]! << 8) | (hash[2]! << 16);
  const high = hash[3]! | (hash[4]! << 8);
  const alpha = low >> 23 !== 0;
  const landscape = high >> 15 !== 0;
  const long = alpha ? 5 : 7;
  const short = high & 7;
  return {
    alpha,
    nx: Math.max(3, landscape ? long : short),
    ny: Math.max(3, landscape ? short : long),
    aspect: (landscape ? long : short) / (landscape ? short : long),
    average: [(low & 63) / 63, ((low >> 6) & 63) / 31.5 - 1, ((low >> 12) & 63) / 31.5 - 1],
    scale: [((low >> 18) & 31) / 31, ((high >> 3) & 63) / 63, ((high >> 9) & 63) / 63] as const,
    alphaAverage: alpha ? (hash[5]! & 15) / 15 : 1,
    alphaScale: alpha ? (hash[5]! >> 4) / 15 : 0,
    start: alpha ? 6 : 5,
  };
}

/** The frequencies a channel of `nx` by `ny` stores, in the order they are stored: the triangle without its corner. */
function frequencies(nx: number, ny: number): [number, number][] {
  const list: [number, number][] = [];
  for (let y = 0; y < ny; y++) {
    for (let x = y ? 0 : 1; x * ny < nx * (ny - y); x++) list.push([x, y]);
  }
  return list;
}

const known = new Map<number, number[][]>();

/** `cos(π/n · (i + ½) · f)` for every pixel i and frequency f below `count`. There are few of both, so they are kept. */
function cosines(n: number, count: number): number[][] {
  const key = n * 8 + count;
  let table = known.get(key);
  if (!table) {
    table = Array.from({ length: n }, (_, i) => Array.from({ length: count }, (_, f) => Math.cos((Math.PI / n) * (i + 0.5) * f)));
    known.set(key, table);
  }
  return table;
}

interface Wave {
  x: number;
  y: number;
  value: number;
}

/** The values of a channel, row by row. The waves of a row are summed up once for all of its pixels. */
function plane(waves: Wave[], average: number, across: number[][], down: number[][]): Float64Array {
  const values = new Float64Array(across.length * down.length);
  let at = 0;
  for (const vertical of down) {
    const row = across[0]!.map(() => 0);
    for (const { x, y, value } of waves) row[x]! += value * vertical[y]! * 2;
    for (const horizontal of across) {
      let sum = average;
      for (let x = 0; x < row.length; x++) sum += row[x]! * horizontal[x]!;
      values[at++] = sum;
    }
  }
  return values;
}

/**
 * Unfolds a ThumbHash (bytes) into `{width, height, rgba}`, at most 32 pixels on the longer side. Throws a RangeError
 * when the hash is cut.
 */
export function decode(hash: Uint8Array): { width: number; height: number; rgba: Uint8ClampedArray<ArrayBuffer> } {
  if (hash.length < 5) throw new RangeError('a thumbhash has at least 5 bytes');
  const head = header(hash);
  if (!(head.aspect > 0 && head.aspect < Infinity)) throw new RangeError('the thumbhash has no shape');
  let nibble = head.start * 2;
  const channel = (nx: number, ny: number, scale: number) =>
    frequencies(nx, ny).map(([x, y]) => {
      if (nibble >> 1 >= hash.length) throw new RangeError('the thumbhash is cut');
      const four = (hash[nibble >> 1]! >> ((nibble & 1) << 2)) & 15;
      nibble++;
      return { x, y, value: (four / 7.5 - 1) * scale };
    });
  // Few levels make colours look washed out: they get a quarter more range than was stored.
  const waves = [
    channel(head.nx, head.ny, head.scale[0]),
    channel(3, 3, head.scale[1] * 1.25),
    channel(3, 3, head.scale[2] * 1.25),
  ];
  if (head.alpha) waves.push(channel(5, 5, head.alphaScale));

  const width = Math.round(head.aspect > 1 ? 32 : 32 * head.aspect);
  const height = Math.round(head.aspect > 1 ? 32 / head.aspect : 32);
  const averages = [...head.average, head.alphaAverage];
  const across = cosines(width, Math.max(head.nx, 5));
  const down = cosines(height, Math.max(head.ny, 5));
  const [ls, ps, qs, as] = waves.map((list, index) => plane(list, averages[index]!, across, down)) as
    [Float64Array, Float64Array, Float64Array, Float64Array?];
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let at = 0, to = 0; at < width * height; at++) {
    const b = ls[at]! - (2 / 3) * ps[at]!;
    const r = (3 * ls[at]! - b + qs[at]!) / 2;
    rgba[to++] = r * 255;
    rgba[to++] = (r - qs[at]!) * 255;
    rgba[to++] = b * 255;
    rgba[to++] = as ? as[at]! * 255 : 255;
  }
  return { width, height, rgba };
}

/** Paints a base64 ThumbHash into a canvas; false, and nothing painted, when there is none or it is damaged. */
export function paint(canvas: HTMLCanvasElement, text: string | null | undefined): boolean {
  if (!text) return false;
  try {
    const { width, height, rgba } = decode(fromBase64(text));
    canvas.width = width;
    canvas.height = height;
    canvas.getContext('2d')!.putImageData(new ImageData(rgba, width, height), 0, 0);
    return true;
  } catch {
    return false;
  }
}
