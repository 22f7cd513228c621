import { useEffect, useState } from "react";

/** Whole seconds until a moment on the clock of `performance.now()`, counting down with it; null where there is none. */
export function useSecondsLeft(at: number | null): number | null {
  const [, setTick] = useState(0);

  useEffect(() => {
    if (at === null) return;
    let timer: ReturnType<typeof setTimeout>;
    const tick = () => {
      const left = at - performance.now();
      setTick(left);
      // Each time to the next whole second, so that no tick is early, late or missing.
      if (left > 0) timer = setTimeout(tick, left % 1_000 || 1_000);
    };
    tick();
    return () => clearTimeout(timer);
  }, [at]);

  return at === null ? null : Math.max(Math.ceil((at - performance.now()) / 1_000), 0);
}
