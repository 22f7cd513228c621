import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Conversation, ConversationState } from "../../conversation";
import type { Item } from "../../messages";
import { Announcer } from "./Announcer";
import { EmptyRoom } from "./EmptyRoom";
import { Bubble } from "./Bubble";
import { DownIcon } from "./icons";
import { dayOf } from "../text";
import { useUnreadTitle } from "./useUnreadTitle";

interface Props {
  conversation: Conversation;
  state: ConversationState;
  items: readonly Item[];
}

/** This close to the end, in pixels, the reader is at the end; this close to the beginning, older messages come. */
const NEAR_END = 60;
const NEAR_BEGINNING = 400;

export function MessageList({ conversation, state, items }: Props) {
  const scroller = useRef<HTMLElement>(null);
  const { unread, onScroll, toEnd } = useScrolling(scroller, items, state, () => void conversation.loadOlder());
  useUnreadTitle(items);
  return (
    <div className="list-frame">
      <section className="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} aria-label="Conversation" aria-busy={state.phase === "loading"}>
        {state.phase === "loading" && items.length === 0 && <p className="hush">Fetching the conversation</p>}
        {state.phase === "failed" && items.length === 0 && <p className="hush">The conversation cannot be read at the moment. Trying again.</p>}
        {state.phase === "ready" && items.length === 0 && <EmptyRoom name={conversation.name} />}
        {items.length > 0 && (
          <p className="beginning">
            {state.isLoadingOlder ? "Fetching what was said before" : state.hasOlder ? (
              <button className="link" onClick={() => void conversation.loadOlder()}>Show earlier messages</button>
            ) : state.phase === "ready" ? "This is where the conversation begins." : null}
          </p>
        )}
        <ol className="messages">
          {items.map((item) => (
            <li key={item.key} className="row" data-own={item.isOwn} data-group={item.startsGroup}>
              {item.startsDay && (
                <p className="day">
                  <span>{dayOf(item.at)}</span>
                </p>
              )}
              <Bubble item={item} onAgain={() => conversation.sendAgain(item.key)} onDiscard={() => conversation.discard(item.key)} />
            </li>
          ))}
        </ol>
      </section>
      {unread > 0 && (
        <button className="pill" onClick={() => toEnd("smooth")}>
          <DownIcon />
          {unread === 1 ? "1 new message" : `${unread} new messages`}
        </button>
      )}
      <Announcer items={items} />
    </div>
  );
}

/** Stays at the end while the reader is there, stays in place while they are not, and counts what came meanwhile. */
function useScrolling(scroller: React.RefObject<HTMLElement | null>, items: readonly Item[], { phase, hasOlder }: ConversationState, onBeginning: () => void) {
  const [unread, setUnread] = useState(0);
  const isAtEnd = useRef(true);
  const before = useRef<{ height: number; first: string | undefined; last: string | undefined }>({ height: 0, first: undefined, last: undefined });

  const toEnd = (behavior: ScrollBehavior) => {
    const element = scroller.current;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element?.scrollTo({ top: element.scrollHeight, behavior: isCalm ? "instant" : behavior });
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const { height, first, last } = before.current;
    const lastItem = items.at(-1);
    const isNewAtEnd = lastItem?.key !== last;
    if (first !== undefined && items[0]?.key !== first && !isAtEnd.current) element.scrollTop += element.scrollHeight - height;
    if (isAtEnd.current || (isNewAtEnd && lastItem?.waiting != null)) toEnd("instant");
    else if (isNewAtEnd && last !== undefined) {
      const index = items.findIndex(({ key }) => key === last);
      setUnread((count) => count + items.slice(index + 1).filter(({ isOwn }) => !isOwn).length);
    }
    before.current = { height: element.scrollHeight, first: items[0]?.key, last: lastItem?.key };
  }, [items, phase, hasOlder]);

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    // The keyboard of a phone, or the panel, changes the height: who was at the end stays there.
    const observer = new ResizeObserver(() => isAtEnd.current && toEnd("instant"));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const onScroll = () => {
    const element = scroller.current;
    if (element === null) return;
    isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
    if (isAtEnd.current) setUnread(0);
    before.current.height = element.scrollHeight;
    if (element.scrollTop < NEAR_BEGINNING && element.scrollHeight > element.clientHeight) onBeginning();
  };

  return { unread, onScroll, toEnd };
}
