/** Runs `work` for every entry, at most `limit` at a time. Ends with the first error, once those under way have ended. */
export async function inParallel<T>(limit: number, entries: T[], work: (entry: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | null = null;
  const run = async () => {
    while (next < entries.length && !failure) {
      try {
        await work(entries[next++]!);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, entries.length) }, run));
  if (failure) throw (failure as { error: unknown }).error;
}
