import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { Observable } from "../observable";
import { SignInBar } from "./SignInBar";
import type { Config } from "./config";
import { createFetcher } from "./fetcher";
import type { Identity } from "./identity";
import { storage } from "./storage";
import { repairTabs } from "./tabs";

const WELCOME = `# Whatever runs here speaks for whom the bar on top names.
# Try it as a stranger first, then sign in.

query WhoAmI {
  viewer {
    name
  }
}

query Read {
  messages(last: 10) {
    from
    text
    createdAt
  }
}

mutation Say {
  addMessage(input: { text: "Hello from the playground" }) {
    id
  }
}

subscription Listen {
  messageAdded {
    from
    text
  }
}
`;

export function useObservable<Value>({ watch, get }: Observable<Value>): Value {
  return useSyncExternalStore(watch, get);
}

const darkness = matchMedia("(prefers-color-scheme: dark)");

function useTheme(): "dark" | "light" {
  return useSyncExternalStore(
    (listener) => {
      darkness.addEventListener("change", listener);
      return () => darkness.removeEventListener("change", listener);
    },
    () => (darkness.matches ? "dark" : "light"),
  );
}

export function Playground({ config, identity }: { config: Config; identity: Identity }) {
  const fetcher = useMemo(() => createFetcher(config.graphql, identity), [config, identity]);
  const theme = useTheme();
  const workbench = useRef<HTMLElement>(null);
  useEffect(() => (workbench.current === null ? undefined : repairTabs(workbench.current)), []);
  return (
    <div className="playground">
      <SignInBar config={config} identity={identity} />
      <main className="workbench" ref={workbench}>
        {/* No headers editor: nobody needs to paste a token where it would be kept. */}
        <GraphiQL
          fetcher={fetcher}
          storage={storage}
          forcedTheme={theme}
          defaultQuery={WELCOME}
          isHeadersEditorEnabled={false}
          shouldPersistHeaders={false}
          showPersistHeadersSettings={false}
        >
          <GraphiQL.Logo>{null}</GraphiQL.Logo>
        </GraphiQL>
      </main>
    </div>
  );
}
