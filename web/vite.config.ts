import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const from = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Two pages, each built into the Python package that serves it; `--mode playground` chooses the second.
const pages = {
  chat: { root: from("src/chat"), outDir: from("../src/gqlink/chat/page") },
  playground: { root: from("src/playground"), outDir: from("../src/gqlink/server/playground") },
};

const server = "http://localhost:9301";

export default defineConfig(({ mode }) => {
  const { root, outDir } = mode === "playground" ? pages.playground : pages.chat;
  return {
    root,
    base: "./", // works under any mount path
    publicDir: false,
    plugins: [react()],
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0, // the Content-Security-Policy allows no data: fonts or scripts
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 5_000, // Monaco
    },
    worker: { format: "es" },
    server: {
      host: "127.0.0.1",
      proxy: {
        "/graphql": { target: server, ws: true },
        "/login": server,
        "/refresh": server,
        "/logout": server,
        "/config.json": server,
      },
    },
    test: { root: from("."), include: ["tests/**/*.test.ts"], environment: "node" },
  };
});
