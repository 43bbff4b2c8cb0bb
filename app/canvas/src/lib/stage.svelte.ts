/** What lies over the page besides the panel that `Ui` has open: questions, and what is in the way of a run. */

import type { Problem } from "./types";
import type { Ui } from "./ui.svelte";

export type Dialog =
  | { kind: "save-as"; suggestion: string; done: (saved: boolean) => void }
  | { kind: "conflict" }
  | { kind: "changes"; title: string; sentences: readonly string[] }
  | { kind: "question"; question: Question; answer: (value: string | null) => void };

export interface Question {
  title: string;
  text: string;
  choices: { value: string; label: string; tone?: "primary" | "danger" }[];
}

export class Stage {
  dialogs = $state.raw<readonly Dialog[]>([]);
  /** What the last attempt to run met; shown until it is closed or the next attempt. */
  obstacles = $state.raw<readonly Problem[]>([]);
  /** The two runs compared, and whether to go back to the gallery from there. */
  comparing = $state.raw<{ a: string; b: string; from: "gallery" | null } | null>(null);

  constructor(readonly ui: Ui) {}

  open(dialog: Dialog): void {
    if (dialog.kind !== "question" && this.dialogs.some((open) => open.kind === dialog.kind)) return;
    this.dialogs = [...this.dialogs, dialog];
  }

  close(dialog: Dialog): void {
    this.dialogs = this.dialogs.filter((open) => open !== dialog);
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

  compare(a: string, b: string): void {
    this.comparing = { a, b, from: this.ui.panel === "gallery" ? "gallery" : null };
    this.ui.panel = "compare";
  }

  say(text: string): void {
    this.ui.toast(text);
  }

  complain(problems: readonly Problem[]): void {
    this.ui.toast(problems.map((problem) => problem.sentence).join(" "), { tone: "error", time: 10_000 });
  }
}
