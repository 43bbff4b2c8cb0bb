import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const SERVER = process.env.LATENTLOOM_SERVER ?? "http://127.0.0.1:7801";

/** One ES module, one style sheet and the licences of what is bundled; `--outDir` says where they go. */
export default defineConfig({
  plugins: [svelte()],
  // Svelte Flow asks for it, and a browser has no `process`.
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    lib: {
      entry: fileURLToPath(new URL("src/main.ts", import.meta.url)),
      formats: ["es"],
      fileName: () => "editor.mjs",
      cssFileName: "editor",
    },
    outDir: "static",
    emptyOutDir: true,
    target: "es2022",
    license: { fileName: "licences.md" },
    // A library is left unminified unless told so here.
    rolldownOptions: { output: { minify: true, codeSplitting: false } },
  },
  // `npm run dev` shows index.html and asks a running `latentloom edit` for everything else.
  server: { proxy: { "/api": { target: SERVER, ws: true, changeOrigin: true, headers: { Origin: SERVER } } } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
