import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { loadConfig } from "../config";
import { Chat } from "./chat";
import { App } from "./ui/App";
import { ChatContext } from "./ui/context";
import "./styles.css";

const chat = new Chat(await loadConfig());
void chat.start();

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <ChatContext value={chat}>
        <App />
      </ChatContext>
    </StrictMode>,
  );
}
