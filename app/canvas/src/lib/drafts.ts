/** Work not saved yet, kept a second after each change: in the browser, and on the server if the browser forgets. */

import type { Api, DraftEntry } from "./api";
import { type Tab, randomName } from "./tab";
import type { Content, Draft } from "./types";

const PREFIX = "latentloom:draft:";
const PAUSE = 1000;

/** As it lies in the browser; `origin` is the page's address the draft belongs to, as `?file=...`. */
export interface LocalDraft {
  draft: Draft;
  origin: string;
}

export interface Work {
  content: Content;
  path: string | null;
  etag: string | null;
  origin: string;
}

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

export class Drafts {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pending: (() => Work) | null = null;
  /** Where the last state told of lies. */
  #inBrowser = true;
  #onServer = true;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(
    readonly api: Api,
    readonly tab: Tab,
    readonly store: Store | null,
    readonly pause = PAUSE,
  ) {}

  /** Whether every change told of is stored somewhere. */
  get safe(): boolean {
    return this.#pending === null && (this.#inBrowser || this.#onServer);
  }

  /** Over when the server heard of all that was stored, or cannot be reached. */
  get sent(): Promise<unknown> {
    return this.#sending;
  }

  /** Store the work shortly; it is asked for when the time has come. */
  keep(work: () => Work): void {
    this.#pending = work;
    this.#timer ??= setTimeout(() => this.flush(), this.pause);
  }

  /** Store what is pending at once. */
  flush(leaving = false): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#pending) return;
    const { origin, ...work } = this.#pending();
    this.#pending = null;
    const draft: Draft = { id: this.tab.draft, saved: Date.now() / 1000, ...work };
    this.tab.kept = true;
    this.#inBrowser = this.#write({ draft, origin });
    this.#onServer = false;
    // One after another: an older state must not arrive last.
    this.#sending = this.#sending
      .then(() => this.api.putDraft(draft, leaving))
      .then(() => void (this.#onServer = true))
      .catch(() => {});
  }

  /** Send again what the server missed while it was away. */
  resend(work: () => Work): void {
    if (!this.#onServer) this.keep(work);
  }

  /** Nothing is unsaved: a draft of before is of no use. */
  settle(): void {
    if (this.#pending || this.tab.kept) this.forget();
  }

  /** The work was saved, or is to be dropped. */
  forget(id = this.tab.draft): void {
    // The server is only asked to drop what it was sent.
    const sent = id !== this.tab.draft || this.tab.kept;
    if (id === this.tab.draft) this.#reset();
    this.#remove(id);
    if (sent) this.#sending = this.#sending.then(() => this.api.removeDraft(id)).catch(() => {});
  }

  /** Leave the draft behind where it can be found, and start another. */
  leave(): void {
    this.flush();
    this.#reset();
    this.tab.draft = randomName();
  }

  /** Go on with a draft that another tab left behind. */
  take(id: string): void {
    this.#reset();
    this.tab.kept = true;
    this.tab.draft = id;
  }

  /** This tab's draft, if it belongs to the address the page was opened with. Otherwise it is left behind. */
  async own(address: string): Promise<LocalDraft | null> {
    if (!this.tab.kept) return null;
    const found = this.local(this.tab.draft) ?? (await this.#fromServer(this.tab.draft));
    if (!found) return null;
    if (belongs(found.origin, address)) return found;
    this.leave();
    return null;
  }

  local(id: string): LocalDraft | null {
    try {
      const text = this.store?.getItem(PREFIX + id);
      return text ? JSON.parse(text) : null;
    } catch {
      return null;
    }
  }

  async load(id: string): Promise<LocalDraft | null> {
    return this.local(id) ?? (await this.#fromServer(id));
  }

  /** Drafts of this browser that no open tab writes at, newest first. */
  async orphans(): Promise<LocalDraft[]> {
    const used = await this.tab.draftsInUse();
    return this.#localIds()
      .filter((id) => !used.has(id))
      .map((id) => this.local(id))
      .filter((found): found is LocalDraft => found !== null)
      .sort((a, b) => b.draft.saved - a.draft.saved);
  }

  /** All the server keeps, but for those that open tabs of this browser write at. */
  async listed(): Promise<DraftEntry[]> {
    const [used, { drafts }] = await Promise.all([this.tab.draftsInUse(), this.api.drafts()]);
    return drafts.filter((draft) => !used.has(draft.id)).sort((a, b) => b.saved - a.saved);
  }

  #reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending = null;
    this.#inBrowser = this.#onServer = true;
    this.tab.kept = false;
  }

  async #fromServer(id: string): Promise<LocalDraft | null> {
    try {
      const draft = await this.api.draft(id);
      return { draft, origin: draft.path === null ? "" : originOf({ file: draft.path }) };
    } catch {
      return null;
    }
  }

  #localIds(): string[] {
    const keys = Array.from({ length: this.store?.length ?? 0 }, (_, index) => this.store!.key(index));
    return keys.filter((key): key is string => key?.startsWith(PREFIX) ?? false).map((key) => key.slice(PREFIX.length));
  }

  #write(found: LocalDraft): boolean {
    try {
      this.store?.setItem(PREFIX + found.draft.id, JSON.stringify(found));
      return this.store !== null;
    } catch {
      // Full or switched off: what lies there is older than what the server gets.
      this.#remove(found.draft.id);
      return false;
    }
  }

  #remove(id: string): void {
    try {
      this.store?.removeItem(PREFIX + id);
    } catch {
      // Nothing was stored either.
    }
  }
}

/** The part of the page's address that names what is open. */
export function originOf(asked: { file?: string | null; run?: string | null; template?: string | null }): string {
  const named = Object.entries(asked).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return named.length === 0 ? "" : `?${new URLSearchParams(named)}`;
}

/** Whether a draft made at `origin` is what a page at `address` should show: a bare address asks for anything. */
export function belongs(origin: string, address: string): boolean {
  return address === "" || origin === address;
}
