/** Past runs a page at a time, as they are searched. */

import { type Api, problemsOf } from "../lib/api";
import type { Problem, Run } from "../lib/types";

export const PAGE = 60;

export interface Query {
  search: string;
  /** A status, or "" for all. */
  status: string;
}

/** Not taken out of the queue before it began. */
function wasTried(run: Run): boolean {
  return run.status !== "cancelled" || run.seconds !== null;
}

export class RunPages {
  runs = $state.raw<readonly Run[]>([]);
  more = $state(false);
  loading = $state(false);
  problems = $state.raw<readonly Problem[]>([]);
  #query: Query = { search: "", status: "" };
  #before: number | undefined;
  /** Answers to an earlier question come too late. */
  #question = 0;

  constructor(readonly api: Pick<Api, "runs">) {}

  /** Begin anew with another question. */
  async ask(query: Query): Promise<void> {
    this.#query = query;
    this.#before = undefined;
    this.#question += 1;
    await this.#load(true);
  }

  async next(): Promise<void> {
    if (this.more && !this.loading) await this.#load(false);
  }

  forget(id: string): void {
    this.runs = this.runs.filter((run) => run.id !== id);
  }

  async #load(anew: boolean): Promise<void> {
    const question = this.#question;
    const { search, status } = this.#query;
    this.loading = true;
    try {
      let found: Run[] = [];
      let more = true;
      // The server finds the word of a status wherever it stands: what only mentions it is left out.
      while (more && found.length === 0) {
        const page = await this.api.runs({ search: `${search} ${status}`.trim(), before: this.#before, limit: PAGE });
        if (question !== this.#question) return;
        this.#before = page.runs.at(-1)?.submitted;
        more = page.more;
        found = page.runs.filter((run) => (status === "" ? wasTried(run) : run.status === status));
      }
      const known = new Set(anew ? [] : this.runs.map((run) => run.id));
      this.runs = [...(anew ? [] : this.runs), ...found.filter((run) => !known.has(run.id))];
      this.more = more;
      this.problems = [];
    } catch (error) {
      if (question !== this.#question) return;
      this.problems = problemsOf(error);
    } finally {
      if (question === this.#question) this.loading = false;
    }
  }
}
