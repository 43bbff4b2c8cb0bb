/** What of the page is open, how it is set up for the person at it, and what it says. */

import type { Command } from "./shortcuts";
import type { Json } from "./types";

export type Panel = "queue" | "gallery" | "compare" | "files" | "templates" | "versions" | "share" | "app";
export type Theme = "system" | "light" | "dark";

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "error";
  /** Place on the screen, as where a wire was refused; without one it stands at the foot of the page. */
  at: { x: number; y: number } | null;
}

/** What the canvas does for other parts of the page. */
export interface CanvasHandle {
  fit(nodes?: readonly string[]): void;
  /** Bring a node to the middle and select it. */
  show(node: string): void;
  focus(): void;
  /** A new node of a kind, at a place on the screen or in the middle of what is seen; gives its name. */
  add(kind: string, at?: { x: number; y: number }, settings?: Record<string, Json>): string;
  /** Whatever the table of shortcuts has. */
  do(command: Command): void;
}

/** How long a notice stands, in ms. */
const TOAST_TIME = 5000;
const KEPT = "latentloom.page";

interface Kept {
  palette: boolean;
  inspector: boolean;
  minimap: boolean;
  snap: boolean;
  theme: Theme;
}

const DEFAULTS: Kept = { palette: true, inspector: true, minimap: true, snap: false, theme: "system" };

export class Ui {
  panel = $state<Panel | null>(null);
  /** The sheet of shortcuts is open. */
  sheet = $state(false);
  toasts = $state.raw<readonly Toast[]>([]);
  /** Read out by screen readers when it changes. */
  announcement = $state("");
  canvas = $state.raw<CanvasHandle | null>(null);
  #kept = $state<Kept>(read());
  #toasts = 0;

  get palette(): boolean {
    return this.#kept.palette;
  }
  set palette(open: boolean) {
    this.#keep({ palette: open });
  }

  get inspector(): boolean {
    return this.#kept.inspector;
  }
  set inspector(open: boolean) {
    this.#keep({ inspector: open });
  }

  get minimap(): boolean {
    return this.#kept.minimap;
  }
  set minimap(shown: boolean) {
    this.#keep({ minimap: shown });
  }

  get snap(): boolean {
    return this.#kept.snap;
  }
  set snap(on: boolean) {
    this.#keep({ snap: on });
  }

  get theme(): Theme {
    return this.#kept.theme;
  }
  set theme(theme: Theme) {
    this.#keep({ theme });
  }

  /** Open a panel, or close it when it is the one that is open. */
  toggle(panel: Panel): void {
    this.panel = this.panel === panel ? null : panel;
  }

  toast(text: string, options: { at?: { x: number; y: number }; tone?: Toast["tone"]; time?: number } = {}): void {
    const id = (this.#toasts += 1);
    const toast: Toast = { id, text, tone: options.tone ?? "info", at: options.at ?? null };
    // The same words again take the place of the first.
    this.toasts = [...this.toasts.filter((other) => other.text !== text), toast].slice(-4);
    this.announce(text);
    setTimeout(() => this.dismiss(id), options.time ?? TOAST_TIME);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  /** Put away what was said beside the pointer. */
  dismissPlaced(): void {
    if (this.toasts.some((toast) => toast.at)) this.toasts = this.toasts.filter((toast) => !toast.at);
  }

  announce(text: string): void {
    // The same words are only read twice when they change in between.
    this.announcement = this.announcement === text ? `${text}\u00a0` : text;
  }

  #keep(change: Partial<Kept>): void {
    this.#kept = { ...this.#kept, ...change };
    try {
      localStorage.setItem(KEPT, JSON.stringify(this.#kept));
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }
}

function read(): Kept {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return DEFAULTS;
  }
}
