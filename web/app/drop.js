/** Files from a drop or the file field, folders included. */

/** Files looked at in one drop; a folder of a whole disk should not freeze the page. */
const FILES_MAX = 2000;

/** Dropped files, those inside dropped folders too. Must be called within the drop event. */
export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  await collect(entries, files);
  // A folder brings along what nobody meant to upload, like .DS_Store.
  return files.filter((file) => !file.name.startsWith('.'));
}

async function collect(entries, files) {
  for (const entry of entries) {
    if (files.length >= FILES_MAX) return;
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else await collect(await children(entry), files);
  }
}

/** A folder's entries; the reader gives at most 100 at a time, and none at the end. */
async function children(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0 || all.length >= FILES_MAX) return all;
    all.push(...some);
  }
}

/**
 * Makes the whole window take files: `onFiles` gets them, `zone` shows that it would. Without this a photo dropped
 * beside the zone would replace the page.
 */
export function acceptDrops(zone, onFiles, onProblem) {
  const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
  let depth = 0;
  const mark = () => zone.classList.toggle('over', depth > 0);
  addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    depth++;
    mark();
  });
  addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    mark();
  });
  addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark();
    droppedFiles(event.dataTransfer).then(onFiles, onProblem);
  });
}
