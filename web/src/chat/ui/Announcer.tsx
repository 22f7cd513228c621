import { useEffect, useRef, useState } from "react";
import type { Item } from "../../messages";

/** Tells screen readers what others say, as it is said. History is not read out. */
export function Announcer({ items }: { items: readonly Item[] }) {
  const last = items.findLast(({ waiting }) => waiting === null);
  const before = useRef(last?.key);
  const [news, setNews] = useState<readonly Item[]>([]);

  useEffect(() => {
    const index = items.findIndex(({ key }) => key === before.current);
    const isFirst = before.current === undefined;
    before.current = last?.key;
    if (isFirst || index < 0) return;
    const said = items.slice(index + 1).filter(({ isOwn }) => !isOwn);
    if (said.length > 0) setNews(said.slice(-5));
  }, [items]);

  return (
    <div className="visually-hidden" role="log" aria-live="polite" aria-label="New messages">
      {news.map(({ key, from, text }) => (
        <p key={key}>
          {from}: {text}
        </p>
      ))}
    </div>
  );
}
