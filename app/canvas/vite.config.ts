import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const SERVER = process.env.LATENTLOOM_SERVER ?? "http://127.0.0.1:7801";

/** What the page needs from the start is told by its name from what is fetched when it is first used. */
const named = ({ name }: { name: string }) => (name === "page" ? "editor.page-[hash].mjs" : `${name}-[hash].mjs`);

/** Parts fetched when they are first used, in one piece, which is smaller than many; they bring their own styles. */
const LATER =
  /panels\/(?!Banners|Obstacles|Panels|Toasts|Unreached|Welcome)|inspector\/SeveralSheet|outputs\/(Figure|Lightbox|Table)|canvas\/(ContextMenu|ShortcutSheet)/;

/** What the page has anyway is not split off for the parts that share it. */
const GROUPS = [
  { name: "page", test: /rolldown\/runtime|node_modules\/(?!@dagrejs)|src\/(lib\/(?!alongFlow)|widgets\/|page)/ },
  { name: "later", test: LATER },
];

/** Of the styles of a component: it stands in every element of it. */
const names = new Map<string, string>();
const cssHash = ({ filename }: { filename: string }): string => {
  const name = names.get(filename) ?? `s${names.size.toString(36)}`;
  names.set(filename, name);
  return name;
};

/**
 * `editor.mjs`, which fetches the page, its style sheet, parts fetched when they are first used, and the licences of what
 * is bundled; `--outDir` says where they go.
 */
export default defineConfig({
  plugins: [
    svelte({
      compilerOptions: { runes: true, cssHash },
      dynamicCompileOptions: ({ filename }) => (LATER.test(filename) ? { css: "injected" } : undefined),
    }),
  ],
  resolve: {
    alias: [
      { find: "d3-transition", replacement: file("src/canvas/still.ts") },
      { find: "d3-color", replacement: file("src/canvas/colourless.ts") },
      { find: /^\.{1,2}\/(\w+\/)*hydration\.js$/, replacement: file("src/canvas/neverHydrated.ts") },
    ],
  },
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
    rolldownOptions: { output: { minify: true, chunkFileNames: named, codeSplitting: { groups: GROUPS } } },
    modulePreload: false,
  },
  // `npm run dev` shows index.html and asks a running `latentloom edit` for everything else.
  server: { proxy: { "/api": { target: SERVER, ws: true, changeOrigin: true, headers: { Origin: SERVER } } } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
