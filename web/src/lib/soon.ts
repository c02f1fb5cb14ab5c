/** Work that can wait: it runs in short tasks, in the order in which it was given, so that the page answers between them. */

const SLICE_MS = 4;
const queue: (() => void)[] = [];

export function soon(work: () => void): void {
  if (queue.push(work) === 1) setTimeout(run);
}

function run(): void {
  const end = performance.now() + SLICE_MS;
  try {
    while (queue.length > 0 && performance.now() < end) queue.shift()!();
  } finally {
    if (queue.length > 0) setTimeout(run);
  }
}
