import { Fragment, useLayoutEffect, useRef } from "react";
import { isRedacted, tokenLabel, written, type Frame, type FrameRecord, type Shown } from "../../frames";
import { useObservable } from "./context";

const NEAR_END = 40;
/** What graphql-ws closes with when it is told to start anew. */
const TERMINATED = 4499;

export function FrameList({ record }: { record: FrameRecord }) {
  const frames = useObservable(record.frames);
  const scroller = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element !== null && isAtEnd.current) element.scrollTop = element.scrollHeight;
  }, [frames]);

  const onScroll = () => {
    const element = scroller.current;
    if (element !== null) isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
  };

  return (
    <section className="frames" aria-label="Frames">
      <div className="frames-head">
        <p>
          <span className="direction" data-kind="sent">↑</span> sent <span className="direction" data-kind="received">↓</span> received
        </p>
        <button className="link" disabled={frames.length === 0} onClick={() => record.clear()}>
          Clear
        </button>
      </div>
      <div className="frames-scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label="List of frames">
        {frames.length === 0 && <p className="hush">Nothing has passed yet.</p>}
        <ol>
          {frames.map((frame) => (
            <li key={frame.key}>
              <FrameRow frame={frame} />
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

function FrameRow({ frame }: { frame: Frame }) {
  if (frame.kind === "opened" || frame.kind === "closed") {
    return (
      <p className="seam" data-kind={frame.kind}>
        <span>
          {frame.kind === "opened" ? `Connection ${frame.connection} opened` : `Connection ${frame.connection} closed, ${closing(frame)}`}
        </span>
      </p>
    );
  }
  const arrow = frame.kind === "sent" ? "↑" : "↓";
  const label = frame.kind === "sent" ? "sent" : "received";
  return (
    <details className="frame">
      <summary>
        <span className="direction" data-kind={frame.kind} role="img" aria-label={label}>
          {arrow}
        </span>
        <time dateTime={new Date(frame.at).toISOString()}>{clock(frame.at)}</time>
        <span className="type">{frame.type}</span>
        <span className="gist">
          <Payload payload={gist(frame)} />
        </span>
      </summary>
      <pre tabIndex={0} role="group" aria-label="Payload">{written(frame.payload, 2) || "no payload"}</pre>
    </details>
  );
}

function closing({ code, reason }: { code: number; reason: string }): string {
  if (code === TERMINATED) return "by this page, to introduce itself again";
  return reason === "" ? String(code) : `${code} ${reason}`;
}

/** What of a payload says most in one line. */
function gist({ payload }: Extract<Frame, { type: string }>): Shown | undefined {
  if (Array.isArray(payload)) return gistOfErrors(payload as readonly Shown[]);
  if (typeof payload !== "object" || payload === null || isRedacted(payload)) return payload;
  const fields = payload as { [key: string]: Shown };
  if (typeof fields["query"] === "string") return fields["query"].replaceAll(/\s+/g, " ").replace(/ fragment .*/, "");
  const [only, ...others] = Object.values(fields);
  const isWrapper = others.length === 0 && typeof only === "object" && only !== null && !Array.isArray(only) && !isRedacted(only);
  return isWrapper ? gist({ payload: only } as Extract<Frame, { type: string }>) : payload;
}

function gistOfErrors(errors: readonly Shown[]): Shown {
  const [first] = errors;
  const message = typeof first === "object" && first !== null && "message" in first ? first.message : undefined;
  return typeof message === "string" ? message : errors;
}

/** One line of JSON in which each token is a small label of its own. */
function Payload({ payload }: { payload: Shown | undefined }) {
  if (payload === undefined) return null;
  if (typeof payload === "string") return <>{payload}</>;
  if (isRedacted(payload)) return <span className="token">{tokenLabel(payload)}</span>;
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) return <>{written(payload)}</>;
  const entries = Object.entries(payload as { [key: string]: Shown });
  return (
    <>
      {entries.map(([key, value], index) => (
        <Fragment key={key}>
          {index > 0 && ", "}
          {key}: {isRedacted(value) ? <Payload payload={value} /> : <span data-null={value === null && key === "accessToken"}>{short(value)}</span>}
        </Fragment>
      ))}
    </>
  );
}

function short(value: Shown): string {
  return typeof value === "number" ? String(Math.round(value * 10) / 10) : written(value);
}

function clock(at: number): string {
  const date = new Date(at);
  const two = (number: number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
