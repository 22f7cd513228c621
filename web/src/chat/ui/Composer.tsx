import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { draft } from "../../draft";
import { SendIcon } from "./icons";

/** The server's limit, in characters as Python counts them. */
const LIMIT = 4000;
const WARN_AT = 3800;

export function Composer({ name, onSend }: { name: string; onSend: (text: string) => void }) {
  const [text, setText] = useState(() => draft.open(name));
  const area = useRef<HTMLTextAreaElement>(null);
  const length = [...text.trim()].length;
  const isSendable = length > 0 && length <= LIMIT;

  useEffect(() => {
    // On a phone the keyboard would cover the conversation before it was seen.
    if (matchMedia("(pointer: fine)").matches) area.current?.focus();
  }, []);

  useEffect(() => draft.keep(name, text), [name, text]);

  const send = () => {
    if (!isSendable) return;
    onSend(text);
    setText("");
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  return (
    <form className="composer" onSubmit={(event) => (event.preventDefault(), send())}>
      <div className="field">
        <label className="visually-hidden" htmlFor="message">
          Message as {name}
        </label>
        <textarea
          id="message"
          ref={area}
          rows={1}
          value={text}
          placeholder={`Write as ${name}`}
          enterKeyHint="send"
          aria-describedby="message-hint"
          onChange={({ target }) => setText(target.value)}
          onKeyDown={onKeyDown}
        />
        <button className="send" aria-label="Send" disabled={!isSendable}>
          <SendIcon />
        </button>
      </div>
      <p id="message-hint" className="hint">
        {length > WARN_AT ? `${length} of ${LIMIT} characters` : "Enter sends, Shift and Enter starts a new line"}
      </p>
    </form>
  );
}
