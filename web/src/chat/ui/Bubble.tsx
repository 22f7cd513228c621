import { memo } from "react";
import type { Item } from "../../messages";
import { fullTimeOf, isEmojiOnly, linkify, timeOf } from "../text";
import { Avatar } from "./Avatar";
import { ClockIcon } from "./icons";

interface Props {
  item: Item;
  onAgain: () => void;
  onDiscard: () => void;
}

export const Bubble = memo(
  function Bubble({ item, onAgain, onDiscard }: Props) {
    const { from, text, at, isOwn, startsGroup, waiting } = item;
    return (
      <article className="message" aria-label={`${isOwn ? "You" : from}, ${timeOf(at)}`}>
        {startsGroup && !isOwn && <Avatar name={from} />}
        {startsGroup && (
          <p className="byline">
            <span className="author">{isOwn ? "You" : from}</span>
            <time dateTime={new Date(at).toISOString()} title={fullTimeOf(at)}>
              {timeOf(at)}
            </time>
          </p>
        )}
        <p className="bubble" data-emoji={isEmojiOnly(text)} data-waiting={waiting !== null} title={fullTimeOf(at)} dir="auto">
          {linkify(text).map((part, index) =>
            part.href === null ? (
              part.text
            ) : (
              <a key={index} href={part.href} target="_blank" rel="noopener noreferrer nofollow">
                {part.text}
              </a>
            ),
          )}
        </p>
        {waiting !== null && waiting.refusal === null && (
          <p className="fate">
            <ClockIcon /> Waiting to be sent
          </p>
        )}
        {waiting !== null && waiting.refusal !== null && (
          <p className="fate" data-refused="true" role="alert">
            Not sent: {waiting.refusal}{" "}
            <button className="link" onClick={onAgain}>
              Try again
            </button>{" "}
            <button className="link" onClick={onDiscard}>
              Delete
            </button>
          </p>
        )}
      </article>
    );
  },
  (before, after) => sameItem(before.item, after.item),
);

function sameItem(one: Item, other: Item): boolean {
  return (
    one.key === other.key &&
    one.text === other.text &&
    one.at === other.at &&
    one.waiting === other.waiting &&
    one.startsGroup === other.startsGroup
  );
}
