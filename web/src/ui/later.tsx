/** Components whose script is loaded when they are first shown. */

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Loading, Problem } from './index.js';

/** A component that shows what `load` gives, and until then that it is loading. `preload` loads before it is shown. */
export function later<Props extends object>(load: () => Promise<ComponentType<Props>>) {
  let Known: ComponentType<Props> | undefined;
  const preload = async () => (Known ??= await load());
  function Later(props: Props) {
    const [Shown, setShown] = useState(() => Known);
    const [error, setError] = useState<unknown>(null);
    const start = () => void preload().then((found) => setShown(() => found), setError);
    useEffect(() => void (Shown || start()), []);
    if (Shown) return <Shown {...props} />;
    return error ? <Problem error={error} retry={start} /> : <Loading />;
  }
  return Object.assign(Later, { preload });
}
