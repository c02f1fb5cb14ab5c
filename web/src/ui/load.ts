/** Reading from the server within a component. */

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export interface Load<T> {
  data: T | null;
  error: unknown;
  isLoading: boolean;
  reload: () => void;
  set: (data: T) => void;
}

/** Reads with `read` whenever `key` changes, and on `reload`. Answers that were overtaken are ignored. A null key waits. */
export function useLoad<T>(key: string | null, read: () => Promise<T>): Load<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; error: unknown; isLoading: boolean }>({
    key: null, data: null, error: null, isLoading: true,
  });
  const turn = useRef(0);
  const latest = useRef(read);
  latest.current = read;
  const reload = useCallback(() => {
    const mine = ++turn.current;
    setState((before) => ({ ...before, isLoading: true }));
    latest.current().then(
      (data) => mine === turn.current && setState({ key, data, error: null, isLoading: false }),
      // Data of another key would be shown as the answer to this one.
      (error: unknown) => mine === turn.current && setState((before) => ({ key, data: before.key === key ? before.data : null, error, isLoading: false })),
    );
  }, [key]);
  useEffect(() => {
    if (key !== null) reload();
    return () => void turn.current++;
  }, [key, reload]);
  const set = useCallback((data: T) => setState({ key, data, error: null, isLoading: false }), [key]);
  const isOld = state.key !== key;
  return { data: isOld ? null : state.data, error: isOld ? null : state.error, isLoading: isOld || state.isLoading, reload, set };
}

interface ListState<Entry> {
  entries: Entry[];
  next: string | null;
}

/** A list in pages: what was read so far, and `more` if there is more. */
export function useList<Entry>(
  key: string | null,
  read: (cursor: string | undefined) => Promise<{ entries: Entry[]; next?: string | null | undefined }>,
): Load<ListState<Entry>> & { entries: Entry[]; more: (() => Promise<void>) | null } {
  const first = useLoad<ListState<Entry>>(key, async () => {
    const { entries, next } = await read(undefined);
    return { entries, next: next ?? null };
  });
  const { data } = first;
  const more = data?.next
    ? async () => {
        const { entries, next } = await read(data.next!);
        first.set({ entries: [...data.entries, ...entries], next: next ?? null });
      }
    : null;
  return { ...first, entries: data?.entries ?? [], more };
}
