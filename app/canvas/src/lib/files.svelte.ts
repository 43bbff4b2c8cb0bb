/** Workflows opened, and the unsaved work of this tab kept. */

import { untrack } from "svelte";
import { ApiError, problem } from "./api";
import * as edits from "./content";
import { type LocalDraft, originOf } from "./drafts";
import { asDetail, flushFields } from "./runs.svelte";
import { type Asked, Saving } from "./saving.svelte";
import type { Content, OpenedFile } from "./types";

export class FilesState extends Saving {
  /** Other tabs that have the same file open. */
  others = $state(0);
  /** A draft no tab writes at any more. */
  orphan = $state.raw<LocalDraft | null>(null);
  /** The share this page shows. */
  shared = $state.raw<{ name: string; picture: string | null } | null>(null);
  /** Came from a place that a reload cannot find again, as a picture that was dropped. */
  #placeless = $state(false);

  // -------------------------------------------------------------- the page begins

  /** Show what the address asks for, with the unsaved work of this tab. Then keep drafts. Gives what undoes it. */
  async start(share?: string, search = location.search): Promise<() => void> {
    if (share !== undefined) {
      await this.attempt(() => this.#openShare(share));
      return () => {};
    }
    const address = new URLSearchParams(search);
    const asked = { file: address.get("file"), run: address.get("run"), template: address.get("template") };
    const mine = await this.drafts.own(originOf(asked));
    await this.attempt(() => (mine ? this.#restore(mine) : this.#openAsked(asked)));
    void this.#findOrphan();
    return this.#watch();
  }

  async #openAsked({ file, run, template }: Asked): Promise<void> {
    if (file) this.#show(await this.api.file(file), { file });
    else if (run) await this.#showRun(run);
    else if (template) this.#show(await this.api.template(template), { template });
  }

  async #openShare(token: string): Promise<void> {
    const { content, picture, name } = await this.api.shared(token);
    this.shared = { name, picture };
    this.document.openReadonly(asOpened(content));
  }

  #watch(): () => void {
    const leaving = (event: BeforeUnloadEvent) => {
      flushFields();
      this.#keep();
      this.drafts.flush(true);
      if (this.unsaved && !this.drafts.safe) event.preventDefault();
    };
    const hiding = () => document.visibilityState === "hidden" && this.drafts.flush(true);
    window.addEventListener("beforeunload", leaving);
    document.addEventListener("visibilitychange", hiding);
    const deaf = this.runs.onFile((message) => {
      if (message.path !== this.document.path || ("client" in message && message.client === this.runs.client)) return;
      if (message.type === "presence") this.others = message.others;
      else if (message.etag !== this.document.etag) void this.look();
    });
    const still = $effect.root(() => {
      $effect(() => {
        void this.document.revision;
        this.#keep();
      });
      $effect(() => {
        if (!this.runs.connected) return;
        untrack(() => {
          this.drafts.resend(this.#work);
          void this.look();
        });
      });
    });
    return () => {
      window.removeEventListener("beforeunload", leaving);
      document.removeEventListener("visibilitychange", hiding);
      deaf();
      still();
    };
  }

  #keep(): void {
    if (this.unsaved || this.#placeless) this.drafts.keep(this.#work);
    else this.drafts.settle();
  }

  #work = () => {
    const { content, path, etag } = this.document;
    return { content, path, etag, origin: this.origin };
  };

  // -------------------------------------------------------------- drafts

  async #restore({ draft, origin }: LocalDraft): Promise<void> {
    const { path, content, etag } = draft;
    const onDisk = path === null ? null : await this.api.file(path).catch(() => null);
    this.#show(onDisk ?? asOpened(content), path === null ? origin : { file: path });
    this.restored = true;
    if (path === null) return;
    if (onDisk) this.document.change("Restore the draft", content);
    this.document.path = path;
    this.document.etag = etag;
    this.runs.announce(path);
    await this.look();
  }

  async #findOrphan(): Promise<void> {
    this.orphan = (await this.drafts.orphans())[0] ?? null;
  }

  /** Open a draft that was left behind, and go on with it. */
  openDraft(id: string): Promise<boolean> {
    return this.attempt(async () => {
      const found = await this.drafts.load(id);
      if (!found) throw new ApiError([problem("That draft is not there any more.")], 404);
      if (!(await this.#mayLeave())) return false;
      this.drafts.take(id);
      await this.#restore(found);
      this.runs.watchFile(this.document.path);
      await this.#findOrphan();
    });
  }

  async discardDraft(id: string): Promise<void> {
    this.drafts.forget(id);
    await this.#findOrphan();
  }

  dismissOrphan(): void {
    this.orphan = null;
  }

  // -------------------------------------------------------------- opening: false where nothing was opened

  open(path: string): Promise<boolean> {
    return this.#replace(() => this.api.file(path), { file: path });
  }

  openTemplate(name: string): Promise<boolean> {
    return this.#replace(() => this.api.template(name), { template: name });
  }

  /** A workflow from a JSON file, or from a picture that carries one. */
  openFile(file: Blob): Promise<boolean> {
    return this.#replace(() => this.api.open(file), {});
  }

  new(): Promise<boolean> {
    return this.#replace(async () => asOpened(edits.empty()), {});
  }

  /** A past run as it was, with the states and pictures of its nodes. */
  openRun(id: string): Promise<boolean> {
    return this.attempt(async () => {
      if (!(await this.#mayLeave())) return false;
      await this.#showRun(id);
    });
  }

  /** Have the server store what is not saved, as far as it can be reached. */
  async keep(): Promise<void> {
    flushFields();
    this.#keep();
    this.drafts.flush();
    await this.drafts.sent;
  }

  /** From a share: the same workflow as one's own, in the editor itself. */
  openCopy(): void {
    this.drafts.leave();
    this.drafts.keep(() => ({ content: this.document.content, path: null, etag: null, origin: "" }));
    this.drafts.flush(true);
    location.assign(`${this.api.root}/`);
  }

  #replace(read: () => Promise<OpenedFile>, origin: Asked): Promise<boolean> {
    return this.attempt(async () => {
      flushFields();
      // Read first: what cannot be opened must not close what is open.
      const opened = await read();
      if (!(await this.#mayLeave())) return false;
      this.#show(opened, origin);
      this.#placeless = originOf(origin) === "" && Object.keys(opened.content.nodes).length > 0;
      this.runs.watchFile(this.document.path);
    });
  }

  async #showRun(id: string): Promise<void> {
    const past = await this.api.run(id);
    this.#show(asOpened(past.workflow), { run: id });
    this.runs.showPast(asDetail(past.run, past.workflow, past.nodes));
  }

  #show(opened: OpenedFile, origin: Asked | string): void {
    // What ships is a start for one's own: it is left where it is.
    const path = opened.writable ? opened.path : null;
    this.document.open({ ...opened, path, etag: path === null ? null : opened.etag });
    this.others = 0;
    this.disk = this.conflict = null;
    this.restored = this.#placeless = false;
    this.setOrigin(origin);
    this.runs.announce(path);
    if (opened.changes.length === 0) return;
    const title = `${this.title} was brought up to date`;
    this.stage.open({ kind: "changes", title, sentences: opened.changes });
  }

  /** True where nothing unsaved would be lost, or the person at the page said so. */
  async #mayLeave(): Promise<boolean> {
    if (!this.unsaved) return true;
    const answer = await this.stage.ask({
      title: `Save ${this.title}?`,
      text: "It has changes that are not saved.",
      choices: [
        { value: "save", label: "Save", tone: "primary" },
        { value: "keep", label: "Keep as a draft" },
        { value: "discard", label: "Don't save", tone: "danger" },
      ],
    });
    if (answer === "save") return (await this.save()) && !this.unsaved;
    if (answer === "keep") this.drafts.leave();
    if (answer === "discard") this.drafts.forget();
    return answer === "keep" || answer === "discard";
  }

  // -------------------------------------------------------------- files as such

  rename(from: string, to: string): Promise<boolean> {
    return this.attempt(async () => {
      const renamed = await this.api.rename(from, to);
      if (from !== this.document.path) return;
      this.document.path = renamed.path;
      this.document.etag = renamed.etag;
      this.disk = null;
      this.setOrigin({ file: renamed.path });
      this.runs.announce(renamed.path);
    });
  }

  remove(path: string): Promise<boolean> {
    return this.attempt(async () => void (await this.api.remove(path)));
  }

  /** Back to the file as it was last saved, as one step to undo. */
  revert(): Promise<boolean> {
    return this.takeTheirs();
  }

  /** An earlier version in place of what is open; it becomes the file with the next save. */
  restoreVersion(id: number): Promise<boolean> {
    return this.attempt(async () => this.document.replace((await this.api.version(id)).content));
  }
}

function asOpened(content: Content): OpenedFile {
  return { path: null, content, etag: null, writable: false, changes: [], problems: [] };
}
