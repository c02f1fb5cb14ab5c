import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, fromBase64 } from '../dist/shared/thumbhash.js';

// From the reference implementation: size, and [pixel number, r, g, b, a] for some pixels. The last has transparency.
const REFERENCE = [
  { hash: '3QcORYaFeHhviIdxeHh4h4ZghfdI', width: 32, height: 23, pixels: [[0,69,47,196,255],[234,145,116,180,255],[368,170,150,141,255],[735,42,85,8,255]] },
  { hash: 'X/gNPRCGeG+HJ3dniIeIeIiPagd3', width: 23, height: 32, pixels: [[0,94,211,32,255],[237,153,204,140,255],[379,142,131,156,255],[735,81,4,73,255]] },
  { hash: '3dcRHZiHeHh/iIeDh2h4h4Zweghn', width: 32, height: 23, pixels: [[0,47,220,164,255],[234,119,201,189,255],[368,131,134,149,255],[735,69,0,0,255]] },
  { hash: '4bSFIw5JUlB3d3dSUCj1io91h4h3iHg=', width: 19, height: 32, pixels: [[0,16,28,217,255],[196,75,84,213,252],[313,99,120,198,146],[607,107,158,187,79]] },
];

test('a placeholder unfolds to the same picture as the reference implementation gives', () => {
  for (const { hash, width, height, pixels } of REFERENCE) {
    const picture = decode(fromBase64(hash));
    assert.deepEqual([picture.width, picture.height], [width, height]);
    assert.equal(picture.rgba.length, width * height * 4);
    for (const [number, ...expected] of pixels) {
      expected.forEach((value, channel) => {
        // The reference cuts fractions off where we round.
        const difference = Math.abs(picture.rgba[number * 4 + channel] - value);
        assert.ok(difference <= 1, `${hash} pixel ${number} channel ${channel}`);
      });
    }
  }
});

test('base64 is read in its URL-safe form and without padding too', () => {
  assert.deepEqual(fromBase64('-_8'), fromBase64('+/8='));
});

test('a cut placeholder is refused instead of read past its end', () => {
  const whole = fromBase64(REFERENCE[0].hash);
  for (let length = 0; length < whole.length - 1; length++) {
    assert.throws(() => decode(whole.subarray(0, length)), RangeError, `${length} bytes`);
  }
});
