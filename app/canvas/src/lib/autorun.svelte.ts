/** Running the workflow again after each change of what it means, one run at a time. Off until it is asked for. */

import type { Content } from "./types";

/** Milliseconds without a change. */
const PAUSE = 600;

/** What a run depends on: not where nodes stand or what they are called. */
export function meaning(content: Content): string {
  const nodes = Object.entries(content.nodes).map(([id, { type, settings, mode }]) => [id, type, settings, mode]);
  return JSON.stringify([nodes, content.wires]);
}

interface Needs {
  document: { readonly content: Content };
  runs: {
    readonly active: readonly { client: string | null }[];
    readonly client: string;
    submit(options: { quiet: boolean }): Promise<unknown>;
  };
}

export class AutoRun {
  on = $state(false);
  #ran = "";

  constructor(needs: Needs) {
    $effect(() => {
      if (!this.on) return;
      const { content } = needs.document;
      const busy = needs.runs.active.some((job) => job.client === needs.runs.client);
      if (busy) return;
      const timer = setTimeout(() => void this.#run(needs, content), PAUSE);
      return () => clearTimeout(timer);
    });
  }

  async #run({ document, runs }: Needs, content: Content): Promise<void> {
    if (meaning(content) === this.#ran) return;
    this.#ran = meaning(content);
    // Seeds that moved on after the run are no change of the person's.
    if (await runs.submit({ quiet: true })) this.#ran = meaning(document.content);
  }
}
