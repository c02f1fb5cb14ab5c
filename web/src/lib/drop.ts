/** Files from a drop, folders included. */

import { handles } from './kept.js';
import type { FileHandle } from './upload.js';

/** Files looked at in one drop, so that a folder of a whole disk does not freeze the page. */
const FILES_MAX = 2000;

type Source = DataTransferItem & { getAsFileSystemHandle?: () => Promise<(FileHandle & { kind: string }) | null> };

/** Dropped files, those inside dropped folders too. Must be called within the drop event. */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const items = [...transfer.items].filter(({ kind }) => kind === 'file');
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null).filter((entry) => entry !== null);
  if (!entries.some((entry) => entry.isDirectory)) return (await Promise.all(items.map(fileOf))).filter((file) => file !== null);
  const files: File[] = [];
  await collect(entries, files);
  // A folder brings along files that nobody meant to upload, like .DS_Store.
  return files.filter((file) => !file.name.startsWith('.'));
}

async function collect(entries: FileSystemEntry[], files: File[]): Promise<void> {
  for (const entry of entries) {
    if (files.length >= FILES_MAX) return;
    if (entry.isFile) files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    else await collect(await children(entry as FileSystemDirectoryEntry), files);
  }
}

/** The item's file. Its handle is noted, which opens the file again after a reload. */
async function fileOf(item: Source): Promise<File | null> {
  const file = item.getAsFile();
  const handle = await item.getAsFileSystemHandle?.().catch(() => null);
  if (file && handle?.kind === 'file') handles.set(file, handle);
  return file;
}

/** A folder's entries; the reader gives at most 100 at a time, and none at the end. */
async function children(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0 || all.length >= FILES_MAX) return all;
    all.push(...some);
  }
}

/** Makes the whole window take files. `onOver` hears whether files are held over it. Gives the undoing function. */
export function acceptDrops(onFiles: (files: File[]) => void, onOver: (over: boolean) => void): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  const hasFiles = (event: DragEvent) => Boolean(event.dataTransfer?.types.includes('Files'));
  let depth = 0;
  const move = (by: number) => (event: DragEvent) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth + by);
    onOver(depth > 0);
  };
  addEventListener('dragenter', move(1), { signal });
  addEventListener('dragleave', move(-1), { signal });
  addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault(), { signal });
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    onOver(false);
    void droppedFiles(event.dataTransfer!).then(onFiles, () => {});
  }, { signal });
  return () => controller.abort();
}
