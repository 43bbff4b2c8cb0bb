import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

/** Parts fetched when they are first used; they bring their own styles. */
const LATER = [
  /panels\/(?!Banners|Obstacles|Panels|Toasts|Unreached|Welcome)/,
  /inspector\/SeveralSheet/,
  /outputs\/(Figure|Lightbox|Table)/,
  /canvas\/(ContextMenu|ShortcutSheet)/,
];

export default {
  preprocess: vitePreprocess(),
  vitePlugin: {
    dynamicCompileOptions: ({ filename }) => (LATER.some((path) => path.test(filename)) ? { css: "injected" } : undefined),
  },
};
