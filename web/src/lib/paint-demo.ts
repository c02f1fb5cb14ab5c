/** Paints the demo's pictures: a sky, a sun, and hills one behind the other. */

import { PICTURES, randoms, type DemoPicture } from './demo.js';

const LAYERS = 5;

function paint({ width, height, hue }: DemoPicture, seed: number): HTMLCanvasElement {
  const random = randoms(seed + 1);
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const area = canvas.getContext('2d')!;
  const sky = area.createLinearGradient(0, 0, 0, height);
  sky.addColorStop(0, `hsl(${hue} 62% 38%)`);
  sky.addColorStop(0.55, `hsl(${hue + 18} 70% 68%)`);
  sky.addColorStop(1, `hsl(${hue + 34} 82% 84%)`);
  area.fillStyle = sky;
  area.fillRect(0, 0, width, height);

  const [x, y, radius] = [width * (0.2 + random() * 0.6), height * (0.2 + random() * 0.25), Math.min(width, height) * (0.06 + random() * 0.05)];
  const glow = area.createRadialGradient(x, y, radius * 0.4, x, y, radius * 5);
  glow.addColorStop(0, `hsl(${hue + 40} 95% 94% / .95)`);
  glow.addColorStop(0.16, `hsl(${hue + 40} 95% 88% / .5)`);
  glow.addColorStop(1, `hsl(${hue + 40} 95% 88% / 0)`);
  area.fillStyle = glow;
  area.fillRect(0, 0, width, height);

  for (let layer = 0; layer < LAYERS; layer++) {
    const base = height * (0.5 + (layer * 0.42) / LAYERS);
    const waves = Array.from({ length: 4 }, (_, at) => ({ length: width / (0.7 + at * 1.3 + random()), height: (height * 0.09) / (at + 1), shift: random() * 9 }));
    area.fillStyle = `hsl(${hue - layer * 7} ${52 - layer * 3}% ${56 - layer * 10}%)`;
    area.beginPath();
    area.moveTo(0, height);
    for (let at = 0; at <= width; at += 6) {
      area.lineTo(at, base + waves.reduce((sum, wave) => sum + wave.height * Math.sin((at / wave.length) * Math.PI * 2 + wave.shift), 0));
    }
    area.lineTo(width, height);
    area.fill();
  }
  return canvas;
}

/** The twelve pictures as files, the last of the list first. */
export async function demoFiles(): Promise<File[]> {
  const files: File[] = [];
  for (const [seed, one] of PICTURES.entries()) {
    const blob = await new Promise<Blob | null>((resolve) => paint(one, seed).toBlob(resolve, 'image/jpeg', 0.86));
    if (blob) files.push(new File([blob], `${one.name}.jpg`, { type: 'image/jpeg' }));
  }
  return files;
}
