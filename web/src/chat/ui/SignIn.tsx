import { useEffect, useId, useRef, useState, type FormEvent } from "react";
import type { LoginOutcome } from "../../session";
import { Avatar } from "./Avatar";
import { ArrowIcon } from "./icons";
import { useChat, useObservable } from "./context";

const REFUSALS: Record<Exclude<LoginOutcome, "ok">, string> = {
  refused: "This name and password do not fit together.",
  limited: "That was tried too often. Wait a little, then try again.",
  unreachable: "The server does not answer. Is it running?",
  busy: "The server cannot check logins at the moment. Try again soon.",
};

export function SignIn() {
  const chat = useChat();
  const session = useObservable(chat.session.state);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);

  const attempt = async (login: () => Promise<LoginOutcome>) => {
    if (isBusy) return;
    setBusy(true);
    setProblem(null);
    const outcome = await login();
    setBusy(false);
    if (outcome !== "ok") setProblem(REFUSALS[outcome]);
  };

  const why = session.status === "signed-out" ? session.why : "never";
  const { accounts } = chat.config;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // Who has just signed out was on a button that is gone.
    if (why !== "never") heading.current?.focus();
  }, [why]);
  return (
    <div className="sign-in">
      <div className="card">
        {why === "elsewhere" && <p className="notice">Your session was ended elsewhere. Sign in again to go on.</p>}
        {why === "ended" && <p className="notice">Your session has ended. Sign in again to go on.</p>}
        <h2 ref={heading} tabIndex={-1}>{accounts.length > 0 ? "Who are you today?" : "Sign in"}</h2>
        <p className="lead">
          {accounts.length > 0
            ? "A small chat over GraphQL. Pick somebody, say hello, then open a second window as somebody else."
            : "A small chat over GraphQL. Sign in to read and write."}
        </p>
        {accounts.length > 0 && (
          <div className="people">
            {accounts.map(({ name }) => (
              <button key={name} className="person" disabled={isBusy} onClick={() => void attempt(() => chat.loginDemo(name))}>
                <Avatar name={name} />
                <span>Sign in as {name}</span>
                <ArrowIcon />
              </button>
            ))}
          </div>
        )}
        {accounts.length > 0 ? (
          <details className="by-name">
            <summary>Use a name and a password</summary>
            <LoginForm isBusy={isBusy} onLogin={(name, password) => void attempt(() => chat.session.login(name, password))} />
          </details>
        ) : (
          <LoginForm isBusy={isBusy} onLogin={(name, password) => void attempt(() => chat.session.login(name, password))} />
        )}
        <p className="problem" role="alert">
          {problem}
        </p>
      </div>
    </div>
  );
}

function LoginForm({ isBusy, onLogin }: { isBusy: boolean; onLogin: (name: string, password: string) => void }) {
  const id = useId();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    onLogin(String(form.get("name")).trim(), String(form.get("password")));
  };
  return (
    <form className="login" onSubmit={submit}>
      <label htmlFor={`${id}name`}>Name</label>
      <input id={`${id}name`} name="name" autoComplete="username" autoCapitalize="none" spellCheck={false} required />
      <label htmlFor={`${id}password`}>Password</label>
      <input id={`${id}password`} name="password" type="password" autoComplete="current-password" required />
      <button className="button primary" disabled={isBusy}>
        Sign in
      </button>
    </form>
  );
}
