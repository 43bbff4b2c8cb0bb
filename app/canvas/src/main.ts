import "@xyflow/svelte/dist/base.css";
import "./theme.css";
import type { Handle, Options } from "./page";

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
  try {
    const { show } = await import("./page");
    return await show(element, options);
  } catch (error) {
    element.innerText = `The editor could not be started.\n${error instanceof Error ? error.message : error}`;
    throw error;
  }
}
