/** A list whose entries are moved by hand. */

/** The list with the entry at `from` at the place `to`; places beyond the ends are the ends. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const rest = list.filter((_, at) => at !== from);
  if (rest.length === list.length) return [...list];
  rest.splice(Math.min(Math.max(to, 0), rest.length), 0, list[from]!);
  return rest;
}
