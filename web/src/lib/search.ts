/** Finding pages, galleries and event types by what is typed. */

export interface Hit {
  title: string;
  href: string;
}

/** The hits whose titles contain every typed word, those that begin with the first word first; at most `count`. */
export function matching<Found extends Hit>(hits: Found[], typed: string, count: number): Found[] {
  const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = hits.flatMap((hit) => {
    const title = hit.title.toLowerCase();
    if (!wanted.every((word) => title.includes(word))) return [];
    return [{ hit, isFirst: title.startsWith(wanted[0] ?? '') }];
  });
  return found.sort((a, b) => Number(b.isFirst) - Number(a.isFirst)).slice(0, count).map(({ hit }) => hit);
}

/** True if a key was pressed where it writes text. */
export function writes(target: EventTarget | undefined): boolean {
  const { tagName, type, isContentEditable } = (target ?? {}) as HTMLInputElement;
  if (tagName === 'INPUT') return !['checkbox', 'radio', 'button', 'file'].includes(type);
  return tagName === 'TEXTAREA' || tagName === 'SELECT' || Boolean(isContentEditable);
}
