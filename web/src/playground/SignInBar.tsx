import { useId, useState, type FormEvent } from "react";
import { useSecondsLeft } from "../useSecondsLeft";
import { useObservable } from "./Playground";
import type { Config } from "./config";
import type { Identity, Outcome, SocketState } from "./identity";

export function SignInBar({ config, identity }: { config: Config; identity: Identity }) {
  const name = useObservable(identity.name);
  const socket = useObservable(identity.socketState);
  const ending = useObservable(identity.ending);
  const [problem, setProblem] = useState<string | null>(null);

  const attempt = async (login: Promise<Outcome>) => {
    const outcome = await login;
    setProblem(outcome === "ok" ? null : outcome === "refused" ? "This name and password do not fit together." : "The server does not answer.");
  };

  return (
    <header className="bar">
      <h1>gqlink playground</h1>
      <div className="identity">
        <p role="status" data-signed-in={name !== null}>
          <span className="dot" aria-hidden="true" />
          {name === null ? "You are a stranger" : <>Signed in as <strong>{name}</strong></>}
          <span className="socket">{socketText(socket)}</span>
        </p>
        <SecondsLeft identity={identity} />
      </div>
      <div className="doors">
        {name !== null && identity.isRenewable && (
          <button title={EXPIRE} onClick={() => identity.expireToken()}>
            Expire the token
          </button>
        )}
        {config.accounts
          .filter((account) => account.name !== name)
          .map((account) => (
            <button key={account.name} onClick={() => void attempt(identity.login(account.name, account.password))}>
              Sign in as {account.name}
            </button>
          ))}
        {name === null && config.login !== null && config.accounts.length === 0 && (
          <LoginForm onLogin={(user, password) => void attempt(identity.login(user, password))} />
        )}
        {name === null && config.login === null && <TokenForm onToken={(token) => identity.use(token)} />}
        {name !== null && <button onClick={() => void identity.logout()}>Sign out</button>}
      </div>
      {(problem ?? ending) !== null && (
        <p className="problem" role="alert">
          {problem ?? ending}
        </p>
      )}
    </header>
  );
}

function socketText(state: SocketState): string {
  if (state.phase === "closed") return state.reason === null ? "No socket open" : `Socket closed: ${state.reason}`;
  const open = state.subject === undefined ? "Socket open" : `Socket open as ${state.subject ?? "nobody"}`;
  return state.reason === null ? open : `${open}, after ${state.reason}`;
}

const EXPIRE =
  "Presents a token that the server refuses, over HTTP and on a new connection, and gets another. Run the subscription to watch it.";

/** Until the server ends the socket, unless it is renewed. A timer is not read out at every second. */
function SecondsLeft({ identity }: { identity: Identity }) {
  const left = useSecondsLeft(useObservable(identity.renewal.expiresAt));
  if (left === null) return null;
  return (
    <p className="seconds" role="timer" aria-label="Seconds to the end of the token" title="Until the token on the socket ends; it is renewed before">
      {left} s left
    </p>
  );
}

function LoginForm({ onLogin }: { onLogin: (name: string, password: string) => void }) {
  const id = useId();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    onLogin(String(form.get("name")), String(form.get("password")));
  };
  return (
    <form onSubmit={submit}>
      <label htmlFor={`${id}name`}>Name</label>
      <input id={`${id}name`} name="name" autoComplete="username" autoCapitalize="none" spellCheck={false} required />
      <label htmlFor={`${id}password`}>Password</label>
      <input id={`${id}password`} name="password" type="password" autoComplete="current-password" required />
      <button>Sign in</button>
    </form>
  );
}

function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const id = useId();
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    onToken(String(new FormData(event.currentTarget).get("token")).trim());
    event.currentTarget.reset();
  };
  return (
    <form onSubmit={submit}>
      <label htmlFor={id}>Access token</label>
      <input id={id} name="token" type="password" autoComplete="off" required />
      <button>Use it</button>
    </form>
  );
}
