import { useEffect, useRef } from "react";
import type { Item } from "../../messages";

/** Counts in the tab's title what others say while nobody looks at it. */
export function useUnreadTitle(items: readonly Item[]): void {
  const seen = useRef(0);
  const others = items.filter(({ isOwn }) => !isOwn).length;

  useEffect(() => {
    const update = () => {
      if (!document.hidden) seen.current = others;
      const unseen = others - seen.current;
      document.title = unseen > 0 ? `(${unseen}) gqlink chat` : "gqlink chat";
    };
    update();
    document.addEventListener("visibilitychange", update);
    return () => document.removeEventListener("visibilitychange", update);
  }, [others]);
}
