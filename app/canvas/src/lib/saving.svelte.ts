/** How the open workflow becomes a file: never over what somebody else saved, unless that is what was asked for. */

import { type Api, ApiError, type Expected, problemsOf } from "./api";
import { type DiskState, diskState, freeName } from "./conflict";
import type { WorkflowDocument } from "./document.svelte";
import { Drafts, originOf } from "./drafts";
import { type RunsState, flushFields } from "./runs.svelte";
import type { Stage } from "./stage.svelte";
import type { Difference } from "./types";
import { shownName } from "./conflict";

/** What a page's address asks for. */
export interface Asked {
  file?: string | null;
  run?: string | null;
  template?: string | null;
}

export class Saving {
  saving = $state(false);
  /** What became of the file while it was open here, until it is dealt with or put aside. */
  disk = $state.raw<DiskState | null>(null);
  /** The state of the file that a save met instead of the one that was opened; etag null: it is gone. */
  conflict = $state.raw<{ path: string; etag: string | null } | null>(null);
  readonly drafts: Drafts;
  /** A draft without a file: unsaved also before it is changed. */
  protected restored = $state(false);
  /** The part of the address that names what is open. */
  protected origin = "";
  #lookLater = false;

  constructor(
    readonly api: Api,
    readonly document: WorkflowDocument,
    readonly runs: RunsState,
    readonly stage: Stage,
  ) {
    this.drafts = new Drafts(api, runs.tab, browserStore());
  }

  get unsaved(): boolean {
    return !this.document.readonly && (this.document.dirty || this.restored);
  }

  /** What a person calls the open workflow. */
  get title(): string {
    const { content, path } = this.document;
    return content.name || (path ? shownName(path) : "Untitled");
  }

  /** True once it is saved. Otherwise the reason was shown: another's save, a failure, no name given. */
  async save(label?: string): Promise<boolean> {
    if (this.document.readonly) return false;
    flushFields();
    const { path, etag } = this.document;
    return path === null ? this.saveAs() : this.#write(path, etag === null ? "absent" : { etag }, label);
  }

  /** Ask for a name, and save under it. */
  saveAs(suggestion = this.title): Promise<boolean> {
    flushFields();
    return new Promise((done) => this.stage.open({ kind: "save-as", suggestion, done }));
  }

  /** "taken" where a file has the name already and `over` was not said. */
  async saveTo(path: string, over = false): Promise<"saved" | "taken" | "failed"> {
    try {
      await this.#send(path, over ? await this.#asItIs(path) : "absent");
      this.runs.announce(path);
      return "saved";
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) return "taken";
      this.stage.complain(problemsOf(error));
      return "failed";
    }
  }

  // -------------------------------------------------------------- another tab saved the same file

  /** What differs between the file now and what is open here. */
  async difference(): Promise<Difference> {
    const theirs = await this.api.file(this.document.path!);
    return this.api.difference(theirs.content, this.document.content);
  }

  /** Show the file as it is now, as one step that can be undone. */
  takeTheirs(): Promise<boolean> {
    return this.attempt(async () => {
      const theirs = await this.api.file(this.document.path!);
      this.document.replace(theirs.content);
      this.document.saved(theirs.path!, theirs.etag!);
      this.restored = false;
      this.disk = this.conflict = null;
    });
  }

  /** Save over what another tab saved, which stays among the versions. */
  overwrite(): Promise<boolean> {
    const path = this.conflict?.path ?? this.document.path!;
    const etag = this.conflict ? this.conflict.etag : this.disk?.kind === "changed" ? this.disk.etag : null;
    return this.#write(path, etag === null ? "absent" : { etag });
  }

  /** Leave the file to the other tab and go on in a new one. */
  async saveCopy(): Promise<boolean> {
    const { files } = await this.api.files().catch(() => ({ files: [] }));
    return this.saveAs(freeName(`${this.title} copy`, new Set(files.map((file) => file.path))));
  }

  dismissDisk(): void {
    this.disk = null;
  }

  /** Compare what is on disk with what was opened: somebody may have saved, or there was no connection for a while. */
  protected async look(): Promise<void> {
    if (this.saving) {
      this.#lookLater = true;
      return;
    }
    const { path } = this.document;
    if (path === null) return;
    try {
      const { etag } = await this.api.file(path);
      if (!this.saving) this.disk = diskState({ path, etag }, this.document);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.disk = diskState({ path, etag: null }, this.document);
    }
  }

  /** The address shows what is open, so that a reload or a bookmark finds it. */
  protected setOrigin(origin: Asked | string): void {
    this.origin = typeof origin === "string" ? origin : originOf(origin);
    const address = new URL(location.href);
    for (const key of ["file", "run", "template"]) address.searchParams.delete(key);
    for (const [key, value] of new URLSearchParams(this.origin)) address.searchParams.set(key, value);
    history.replaceState(history.state, "", address);
  }

  /** False where it failed, which is then shown, or said so itself. */
  protected async attempt(action: () => Promise<boolean | void>): Promise<boolean> {
    try {
      return (await action()) !== false;
    } catch (error) {
      this.stage.complain(problemsOf(error));
      return false;
    }
  }

  async #asItIs(path: string): Promise<Expected> {
    const { etag } = await this.api.file(path);
    return etag === null ? "absent" : { etag };
  }

  async #write(path: string, expected: Expected, label?: string): Promise<boolean> {
    try {
      await this.#send(path, expected, label);
      this.stage.ui.announce("Saved.");
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) {
        this.conflict = { path, etag: error.etag };
        this.stage.open({ kind: "conflict" });
      } else this.stage.complain(problemsOf(error));
      return false;
    }
  }

  async #send(path: string, expected: Expected, label?: string): Promise<void> {
    const sent = this.document.content;
    this.saving = true;
    try {
      const saved = await this.api.save(path, sent, expected, label);
      if (this.document.content === sent) this.document.saved(saved.path, saved.etag);
      else {
        // Changed while it was on its way: what was saved is not what is shown.
        this.document.path = saved.path;
        this.document.etag = saved.etag;
      }
      this.restored = false;
      this.disk = this.conflict = null;
      this.setOrigin({ file: saved.path });
      if (!this.unsaved) this.drafts.forget();
    } finally {
      this.saving = false;
      if (this.#lookLater) void this.look();
      this.#lookLater = false;
    }
  }
}

function browserStore(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
