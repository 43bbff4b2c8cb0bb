import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const SERVER = process.env.LATENTLOOM_SERVER ?? "http://127.0.0.1:7801";

/** What the page needs from the start is told by its name from what is fetched when it is first used. */
const named = ({ name }: { name: string }) => (name === "page" ? "editor.page-[hash].mjs" : `${name}-[hash].mjs`);

/** What the page has anyway is not split off for the parts that share it. */
const SHARED = [{ name: "page", test: /node_modules\/(?!@dagrejs)|src\/(lib\/(?!alongFlow)|widgets\/|page)/ }];

/**
 * `editor.mjs`, which fetches the page, its style sheet, parts fetched when they are first used, and the licences of what
 * is bundled; `--outDir` says where they go.
 */
export default defineConfig({
  plugins: [svelte()],
  resolve: { alias: { "d3-transition": file("src/canvas/still.ts"), "d3-color": file("src/canvas/colourless.ts") } },
  // Svelte Flow asks for it, and a browser has no `process`.
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    lib: {
      entry: file("src/main.ts"),
      formats: ["es"],
      fileName: () => "editor.mjs",
      cssFileName: "editor",
    },
    outDir: "static",
    emptyOutDir: true,
    target: "es2022",
    license: { fileName: "licences.md" },
    // A library is left unminified unless told so here.
    rolldownOptions: { output: { minify: true, chunkFileNames: named, codeSplitting: { groups: SHARED } } },
    modulePreload: false,
  },
  // `npm run dev` shows index.html and asks a running `latentloom edit` for everything else.
  server: { proxy: { "/api": { target: SERVER, ws: true, changeOrigin: true, headers: { Origin: SERVER } } } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
