/** Tells the tabs of one browser apart, also over a reload. */

const KEY = 'eyeline.tab';
/** A page that is being left usually releases its lock within moments. */
const PATIENCE_MS = 1500;
/** A tab that is loaded again has this long to take its own lock, before another tab may. */
const RELOAD_MS = 5000;

const lockOf = (tab: string) => `eyeline.tab.${tab}`;

/** Holds a lock until the page is left. False if another tab holds it. Without locks every tab is taken for gone. */
function hold(tab: string, options: LockOptions): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const kept = (lock: Lock | null) => {
      resolve(lock !== null);
      return lock ? new Promise<void>(() => {}) : undefined;
    };
    navigator.locks.request(lockOf(tab), options, kept).catch(() => resolve(false));
  });
}

/** The name of this tab: the one it had before a reload, unless the tab was duplicated. */
export async function thisTab(fresh: () => string): Promise<string> {
  let tab: string | null = null;
  try {
    tab = sessionStorage.getItem(KEY);
    if (tab && !(await hold(tab, { signal: AbortSignal.timeout(PATIENCE_MS) }))) tab = null;
    if (!tab) {
      tab = fresh();
      sessionStorage.setItem(KEY, tab);
      await hold(tab, {});
    }
  } catch {
    // Without storage a reload makes a new tab.
  }
  return tab ?? fresh();
}

/** True if the tab of this name is gone; it is this tab's from now on. */
export const adopts = (tab: string, own: string): Promise<boolean> =>
  tab === own ? Promise.resolve(true) : navigator.locks ? hold(tab, { ifAvailable: true }) : Promise.resolve(false);

/** Waits until the tab of this name is gone for good; it is this tab's from then on. Never ends in browsers without locks. */
export async function adoptsLater(tab: string): Promise<void> {
  if (!navigator.locks) return new Promise(() => {});
  for (;;) {
    await navigator.locks.request(lockOf(tab), () => {});
    await new Promise((resolve) => setTimeout(resolve, RELOAD_MS));
    if (await hold(tab, { ifAvailable: true })) return;
  }
}
