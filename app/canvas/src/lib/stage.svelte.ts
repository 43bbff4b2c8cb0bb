/** What is open over the canvas: one side panel, one dialog or several on top of each other, and passing notices. */

import type { Problem } from "./types";

export type Dialog =
  | { kind: "files" }
  | { kind: "save-as"; suggestion: string }
  | { kind: "gallery" }
  | { kind: "compare"; a: string; b: string }
  | { kind: "versions"; path: string }
  | { kind: "templates" }
  | { kind: "share" }
  | { kind: "conflict" }
  | { kind: "changes"; title: string; sentences: string[] }
  | { kind: "question"; question: Question; answer: (value: string | null) => void };

export interface Question {
  title: string;
  text: string;
  choices: { value: string; label: string; tone?: "main" | "danger" }[];
  /** With a field to type into, which the answer is. */
  field?: { label: string; value: string };
}

export type Side = "queue" | "problems";

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "good" | "bad";
  action: { label: string; run: () => void } | null;
}

const TOAST_SECONDS = { info: 5, good: 4, bad: 10 };

export class Stage {
  side = $state<Side | null>(null);
  dialogs = $state.raw<readonly Dialog[]>([]);
  toasts = $state.raw<readonly Toast[]>([]);
  /** What the last attempt to run, save or open ran into. */
  problems = $state.raw<readonly Problem[]>([]);
  #count = 0;

  open(dialog: Dialog): void {
    if (this.dialogs.some((open) => open.kind === dialog.kind && dialog.kind !== "question")) return;
    this.dialogs = [...this.dialogs, dialog];
  }

  close(dialog: Dialog): void {
    this.dialogs = this.dialogs.filter((open) => open !== dialog);
  }

  closeAll(): void {
    for (const dialog of this.dialogs) if (dialog.kind === "question") dialog.answer(null);
    this.dialogs = [];
  }

  toggle(side: Side): void {
    this.side = this.side === side ? null : side;
  }

  toast(text: string, tone: Toast["tone"] = "info", action: Toast["action"] = null): void {
    const toast = { id: ++this.#count, text, tone, action };
    // The same words again take the place of the first.
    this.toasts = [...this.toasts.filter((shown) => shown.text !== text), toast].slice(-4);
    setTimeout(() => this.dismiss(toast.id), (TOAST_SECONDS[tone] + (action ? 10 : 0)) * 1000);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  /** Show what is in the way, in the side panel. */
  obstacles(problems: readonly Problem[]): void {
    this.problems = problems;
    if (problems.length > 0) this.side = "problems";
    else if (this.side === "problems") this.side = null;
  }

  /** The chosen value, or null when the question was put aside. */
  ask(question: Question): Promise<string | null> {
    return new Promise((resolve) => {
      const dialog: Dialog = {
        kind: "question",
        question,
        answer: (value) => {
          this.close(dialog);
          resolve(value);
        },
      };
      this.open(dialog);
    });
  }
}
