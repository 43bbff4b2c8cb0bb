/** Steps back and forth between states that share their parts; as many as the session has memory for. */

interface Step<T> {
  state: T;
  /** What the change after this state did: "Move nodes". */
  title: string;
}

/** Changes of one key that follow each other within this time are one step, in ms. */
const PAUSE = 1500;

export class History<T> {
  #past: Step<T>[] = [];
  #future: Step<T>[] = [];
  #key: string | null = null;
  #at = 0;

  get canUndo(): boolean {
    return this.#past.length > 0;
  }

  get canRedo(): boolean {
    return this.#future.length > 0;
  }

  /** Remember `state`, which is about to be left. With the `key` of the last change it belongs to the same step. */
  leave(state: T, title: string, key: string | null = null, now = performance.now()): void {
    const continues = key !== null && key === this.#key && now - this.#at < PAUSE;
    if (!continues) this.#past.push({ state, title });
    this.#future = [];
    this.#key = key;
    this.#at = now;
  }

  /** The state before, and what is undone by it. */
  undo(now: T): Step<T> | null {
    return this.#step(this.#past, this.#future, now);
  }

  redo(now: T): Step<T> | null {
    return this.#step(this.#future, this.#past, now);
  }

  /** The next change begins a step of its own. */
  pause(): void {
    this.#key = null;
  }

  clear(): void {
    this.#past = [];
    this.#future = [];
    this.#key = null;
  }

  #step(from: Step<T>[], to: Step<T>[], now: T): Step<T> | null {
    const step = from.pop();
    if (!step) return null;
    to.push({ state: now, title: step.title });
    this.#key = null;
    return step;
  }
}
