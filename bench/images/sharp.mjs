// Four versions of each file with sharp: `clone` as its manual shows it, `chain` each from the one before.
import { readFile, writeFile } from 'node:fs/promises';
import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);
const [way, out, ...files] = process.argv.slice(2);
const boxes = [['d2500', 2500, 2500], ['big_1920', 1920, 1080], ['big_thumb', 700, 700], ['thumb', 150, 120]];
const fit = { fit: 'inside', withoutEnlargement: true };
const save = (name, data) => writeFile(`${out}/${name}.jpg`, data);

for (const file of files) {
  const original = sharp(await readFile(file), { failOn: 'warning' }).rotate();
  if (way === 'clone') {
    await Promise.all(boxes.map(async ([name, width, height]) =>
      save(name, await original.clone().resize({ width, height, ...fit }).jpeg({ quality: 82 }).toBuffer())));
    continue;
  }
  let source = original;
  for (const [name, width, height] of boxes) {
    const { data, info } = await source.resize({ width, height, ...fit }).raw().toBuffer({ resolveWithObject: true });
    const raw = { width: info.width, height: info.height, channels: info.channels };
    await save(name, await sharp(data, { raw }).jpeg({ quality: 82 }).toBuffer());
    source = sharp(data, { raw });
  }
}
