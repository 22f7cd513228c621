import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const from = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Two pages, each built into the Python package that serves it; `--mode playground` chooses the second.
const pages = {
  chat: { root: from("src/chat"), outDir: from("../src/gqlink/chat/page") },
  playground: { root: from("src/playground"), outDir: from("../src/gqlink/server/playground") },
};

// GraphiQL's style sheet carries its fonts inside itself, which our Content-Security-Policy rightly refuses. The page
// uses the system's, and Monaco brings its icons as a file.
const withoutInlinedFonts: Plugin = {
  name: "without-inlined-fonts",
  enforce: "pre",
  transform(code, id) {
    if (id.endsWith("graphiql/dist/style.css")) return code.replaceAll(/@font-face\s*\{[^{}]*data:font[^{}]*\}/g, "");
    return undefined;
  },
};

const server = "http://localhost:9301";

export default defineConfig(({ mode }) => {
  const { root, outDir } = mode === "playground" ? pages.playground : pages.chat;
  return {
    root,
    base: "./", // works under any mount path
    publicDir: false,
    plugins: [react(), withoutInlinedFonts],
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0, // the Content-Security-Policy allows no data: fonts or scripts
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 5_000, // Monaco
      rolldownOptions: {
        // GraphiQL's own notes to its compiler; they mean nothing here.
        onLog: (level, log, report) => log.code !== "MODULE_LEVEL_DIRECTIVE" && report(level, log),
      },
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
