/** Loads parts of a page when they come into sight. */

import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const AHEAD = '100px';

/** True once the element has been on the screen, or nearly. */
export function useSeen(element: RefObject<Element | null>): boolean {
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    if (!element.current) return;
    const look = (entries: IntersectionObserverEntry[]) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      setSeen(true);
      observer.disconnect();
    };
    const observer = new IntersectionObserver(look, { rootMargin: AHEAD });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return isSeen;
}
