import "@xyflow/svelte/dist/base.css";
import "./theme.css";
import type { Handle, Options } from "./page";

/** Milliseconds without anything to see before the page says why: a server that just started reads its nodes first. */
const PATIENCE = 400;

declare global {
  interface Window {
    /** For tests: whether the page can be used, and what it holds. */
    latentloom?: Handle;
  }
}

/**
 * Show the editor in `element`; gives what takes it away again.
 *
 * This file is asked for with its version in the address, the parts of the page by names of their own. None of them may
 * import this one: to the browser it would be another module, with everything in it a second time.
 */
export async function mount(element: HTMLElement, options: Options): Promise<() => void> {
  window.latentloom = { ready: false };
  element.classList.add("latentloom");
  const wait = setTimeout(() => (element.innerText = "Latentloom is starting; its nodes are being read."), PATIENCE);
  try {
    const { show } = await import("./page");
    return await show(element, options, () => {
      clearTimeout(wait);
      element.innerText = "";
    });
  } catch (error) {
    clearTimeout(wait);
    element.innerText = `The editor could not be started.\n${error instanceof Error ? error.message : error}`;
    throw error;
  }
}
