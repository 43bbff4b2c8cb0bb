/** What one browser tab knows of itself; it outlives a reload, not the tab. */

const CLIENT = "latentloom:client";
const WATCHED = "latentloom:watched";
const DRAFT = "latentloom:draft";
const KEPT = "latentloom:kept";
const TABS = "latentloom:tabs";

/** Random, also where `crypto.randomUUID` is missing: on plain HTTP from another machine. */
export function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function remembered(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Storage is switched off: the tab only forgets more at a reload.
  }
}

export class Tab {
  client = remembered(CLIENT) ?? randomName();
  /** The draft of the open workflow. */
  #draft = remembered(DRAFT) ?? randomName();
  #channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(TABS);
  #others = new Set<string>();

  /** Called when a duplicated tab had to take names of its own. */
  renamed: () => void = () => {};

  constructor() {
    remember(CLIENT, this.client);
    remember(DRAFT, this.#draft);
    if (!this.#channel) return;
    const nonce = randomName();
    this.#channel.onmessage = ({ data }) => {
      if (data.ask) this.#channel?.postMessage({ here: this.client, draft: this.#draft, to: data.ask });
      if (data.to !== nonce) return;
      this.#others.add(data.draft);
      if (data.here !== this.client) return;
      // Duplicating a tab copies its session storage.
      this.client = randomName();
      this.draft = randomName();
      remember(CLIENT, this.client);
      this.renamed();
    };
    this.#channel.postMessage({ ask: nonce });
  }

  /** Drafts that open tabs of this browser write at; complete a moment after the start. */
  async draftsInUse(): Promise<ReadonlySet<string>> {
    await new Promise((resolve) => setTimeout(resolve, 150));
    return new Set([...this.#others, this.#draft]);
  }

  get draft(): string {
    return this.#draft;
  }

  set draft(id: string) {
    this.#draft = id;
    remember(DRAFT, id);
  }

  /** Whether anything was written to the draft. */
  get kept(): boolean {
    return remembered(KEPT) !== null;
  }

  set kept(is: boolean) {
    remember(KEPT, is ? "yes" : null);
  }

  get watched(): string | null {
    return remembered(WATCHED);
  }

  set watched(job: string | null) {
    remember(WATCHED, job);
  }

  close(): void {
    this.#channel?.close();
  }
}
