import "graphiql/setup-workers/vite";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Playground } from "./Playground";
import { loadConfig } from "./config";
import { Identity } from "./identity";
import "graphiql/style.css";
import "./styles.css";

const config = await loadConfig();
const identity = new Identity(config);

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Playground config={config} identity={identity} />
    </StrictMode>,
  );
}
