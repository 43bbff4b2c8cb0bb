/** Keys and the clipboard: what is pressed becomes a command of the table, unless somebody types. */

import type { Point } from "../lib/content";
import type { App } from "../lib/shared";
import { commandFor, SHORTCUTS } from "../lib/shortcuts";
import type { Actions } from "./actions";
import type { Commands } from "./commands";
import { dropFile } from "./drop";
import type { CanvasState } from "./state.svelte";

const FIELDS = "input, textarea, select, [contenteditable='true']";
const WITH_KEYS_OF_THEIR_OWN = "button, a, summary, [role='slider'], [role='combobox'], [role='option'], [role='switch']";
const BOXES = "dialog, [role='dialog'], [role='menu'], [role='listbox']";

export class Keyboard {
  /** Ctrl+Shift+V was pressed last: the paste event does not tell. */
  #wired = false;

  constructor(
    readonly app: App,
    readonly canvas: CanvasState,
    readonly actions: Actions,
    readonly commands: Commands,
    readonly root: () => HTMLElement,
  ) {}

  /** Gives what ends it. */
  listen(): () => void {
    const ended = new AbortController();
    const { signal } = ended;
    window.addEventListener("keydown", (event) => this.#down(event), { signal });
    window.addEventListener("copy", (event) => this.#copy(event), { signal });
    window.addEventListener("cut", (event) => this.#copy(event, true), { signal });
    window.addEventListener("paste", (event) => this.#paste(event), { signal });
    return () => ended.abort();
  }

  /** A node reached with the Tab key is the selected one. */
  focused(event: FocusEvent): void {
    const target = event.target as HTMLElement;
    const id = target.classList.contains("svelte-flow__node") && target.matches(":focus-visible") ? target.dataset.id : undefined;
    if (id === undefined) return;
    const node = this.canvas.nodes.find((each) => each.id === id);
    if (node && !node.selected) this.canvas.tellSelection([node]);
  }

  #down(event: KeyboardEvent): void {
    if (event.key.toLowerCase() === "v") this.#wired = event.shiftKey;
    if (event.defaultPrevented || event.isComposing) return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape" && this.#leave(target)) return;
    const command = commandFor(event);
    if (!command || !this.#mayRun(target, event, SHORTCUTS[command].everywhere ?? false)) return;
    if (this.commands[command](event) !== false) event.preventDefault();
  }

  /** Out of a node's field, back to the node. */
  #leave(target: HTMLElement): boolean {
    const node = target.closest<HTMLElement>(".svelte-flow__node");
    if (!node || node === target) return false;
    node.focus({ preventScroll: true });
    return true;
  }

  #mayRun(target: HTMLElement, event: KeyboardEvent, everywhere: boolean): boolean {
    if (document.querySelector("dialog[open]")) return false;
    if (everywhere) return true;
    if (target.closest(FIELDS) || target.closest(BOXES)) return false;
    const held = event.ctrlKey || event.metaKey || event.altKey;
    if (held) return true;
    // Bare keys belong to the canvas, and to what has the focus where it knows them.
    return !target.closest(WITH_KEYS_OF_THEIR_OWN) && (target === document.body || this.root().contains(target));
  }

  #copy(event: ClipboardEvent, cut = false): void {
    if (!this.#isOurs(event) || String(window.getSelection() ?? "") !== "") return;
    const text = this.actions.copied();
    if (text === null) return;
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    if (cut && !this.app.document.readonly) this.actions.remove();
    else this.app.ui.announce("Copied.");
  }

  #paste(event: ClipboardEvent): void {
    if (!this.#isOurs(event) || this.app.document.readonly) return;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const files = [...(event.clipboardData?.files ?? [])];
    if (!text && files.length === 0) return;
    event.preventDefault();
    const { selection } = this.app.document;
    const node = selection.length === 1 ? selection[0]! : null;
    if (!text) for (const file of files) void dropFile(this.app, this.actions, file, this.#place(), node);
    else if (!this.actions.paste(text, this.#place(), this.#wired)) this.app.ui.toast("The clipboard holds no nodes.");
  }

  #isOurs(event: ClipboardEvent): boolean {
    const target = event.target as HTMLElement;
    if (target.closest?.(FIELDS) || document.querySelector("dialog[open]")) return false;
    const focus = document.activeElement;
    return focus === null || focus === document.body || this.root().contains(focus);
  }

  #place(): Point {
    const { pointer } = this.canvas;
    if (!pointer) return this.actions.middle();
    return this.actions.toFlow(pointer);
  }
}

