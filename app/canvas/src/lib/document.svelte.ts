/** The open workflow: its content, the steps to undo, what is selected, and where it came from. */

import type { Kinds } from "./catalog";
import * as edits from "./content";
import { History } from "./history";
import { advanceSeeds } from "./seeds";
import type {
  AppView,
  Content,
  Json,
  Mode,
  NodeEntry,
  NodeKind,
  OpenDocument,
  OpenedFile,
  Problem,
  SeedRule,
} from "./types";
import { isWire, target } from "./wires";

/** Items of the canvas that the file keeps in lists, by their place there. */
export interface Marked {
  groups: readonly number[];
  notes: readonly number[];
  reroutes: readonly number[];
}

const NOTHING_MARKED: Marked = { groups: [], notes: [], reroutes: [] };

export class WorkflowDocument implements OpenDocument {
  #content = $state.raw<Content>(edits.empty());
  #saved = $state.raw<Content | null>(null);
  #revision = $state(0);
  #opened = $state(0);
  #readonly = $state(false);
  #selection = $state.raw<readonly string[]>([]);
  #marked = $state.raw<Marked>(NOTHING_MARKED);
  #history = new History<Content>();

  path = $state<string | null>(null);
  etag = $state<string | null>(null);
  problems = $state.raw<Problem[]>([]);
  /** Sentences of the upgrades the file went through when it was opened. */
  changes = $state.raw<string[]>([]);

  constructor(readonly kinds: Kinds) {
    this.#saved = this.#content;
  }

  get content(): Content {
    return this.#content;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Grows with each workflow that is opened: the view is fitted to it. */
  get opened(): number {
    return this.#opened;
  }

  get dirty(): boolean {
    return this.#content !== this.#saved;
  }

  get readonly(): boolean {
    return this.#readonly;
  }

  get selection(): readonly string[] {
    return this.#selection;
  }

  get marked(): Marked {
    return this.#marked;
  }

  get canUndo(): boolean {
    void this.#revision;
    return !this.#readonly && this.#history.canUndo;
  }

  get canRedo(): boolean {
    void this.#revision;
    return !this.#readonly && this.#history.canRedo;
  }

  node(id: string): NodeEntry | undefined {
    return this.#content.nodes[id];
  }

  /** The kind of a node; undefined where it is not known here. */
  kindOf(id: string): NodeKind | undefined {
    const type = this.#content.nodes[id]?.type;
    return type === undefined ? undefined : this.kinds.get(type);
  }

  /** A node as a person calls it. */
  titleOf(id: string): string {
    return this.#content.nodes[id]?.title || this.kindOf(id)?.title || this.#content.nodes[id]?.type || id;
  }

  // -------------------------------------------------------------- as a whole

  open(file: OpenedFile): void {
    this.#readonly = false;
    this.#history.clear();
    this.#content = file.content;
    // What an upgrade changed is not in the file yet.
    this.#saved = file.changes.length > 0 ? null : file.content;
    this.path = file.path;
    this.etag = file.etag;
    this.problems = file.problems;
    this.changes = file.changes;
    this.#selection = [];
    this.#marked = NOTHING_MARKED;
    this.#revision += 1;
    this.#opened += 1;
  }

  /** Shown, and not to be changed. */
  openReadonly(file: OpenedFile): void {
    this.open(file);
    this.#readonly = true;
  }

  saved(path: string, etag: string): void {
    this.path = path;
    this.etag = etag;
    this.#saved = this.#content;
    this.#history.pause();
  }

  replace(content: Content): void {
    this.change("Replace the workflow", content);
    this.select([]);
    this.#opened += 1;
  }

  /** One step to undo, which `title` names; changes of the same `key` in quick succession are one step. */
  change(title: string, content: Content, key: string | null = null): void {
    if (this.#readonly || content === this.#content) return;
    this.#history.leave(this.#content, title, key);
    this.#put(content);
  }

  undo(): string | null {
    return this.#go(this.#history.undo(this.#content));
  }

  redo(): string | null {
    return this.#go(this.#history.redo(this.#content));
  }

  #go(step: { state: Content; title: string } | null): string | null {
    if (!step || this.#readonly) return null;
    this.#put(step.state);
    const left = this.#selection.filter((id) => id in step.state.nodes);
    if (left.length < this.#selection.length) this.#selection = left;
    this.#marked = NOTHING_MARKED;
    return step.title;
  }

  #put(content: Content): void {
    // What was wrong with a node is not said of it any more once it was changed.
    if (this.problems.length > 0) this.problems = this.problems.filter((problem) => isUnchanged(problem.node, this.#content, content));
    this.#content = content;
    this.#revision += 1;
  }

  // -------------------------------------------------------------- selection

  select(nodes: readonly string[], marked: Marked = NOTHING_MARKED): void {
    const equal = nodes.length === this.#selection.length && nodes.every((id, at) => id === this.#selection[at]);
    if (!equal) {
      this.#selection = [...nodes];
      this.#history.pause();
    }
    this.#marked = marked;
  }

  // -------------------------------------------------------------- edits of nodes

  setSetting(node: string, setting: string, value: Json): void {
    const before = this.#content.nodes[node]?.settings?.[setting];
    if (before === value && before !== undefined) return;
    const content = edits.setSetting(this.#content, node, setting, value);
    this.change(`Set ${this.titleOf(node)}: ${setting}`, content, `setting ${node}.${setting}`);
  }

  clearSetting(node: string, setting: string): void {
    this.change(`Reset ${this.titleOf(node)}: ${setting}`, edits.clearSetting(this.#content, node, setting));
  }

  setSeedRule(node: string, setting: string, rule: SeedRule): void {
    this.change(`Seed of ${this.titleOf(node)}: ${rule}`, edits.setSeedRule(this.#content, node, setting, rule));
  }

  advanceSeeds(): void {
    this.change("Next seeds", advanceSeeds(this.#content, (type) => this.kinds.get(type)));
  }

  setMode(nodes: readonly string[], mode: Mode | null): void {
    const title = mode === "mute" ? "Mute" : mode === "bypass" ? "Bypass" : "Let run";
    this.change(title, edits.setMode(this.#content, nodes, mode));
  }

  setTitle(node: string, title: string): void {
    const given = title.trim() && title.trim() !== this.kindOf(node)?.title ? title.trim() : undefined;
    if (given === this.#content.nodes[node]?.title) return;
    this.change("Rename a node", edits.editNode(this.#content, node, { title: given }));
  }

  setName(name: string): void {
    if (name !== (this.#content.name ?? "")) this.change("Name the workflow", { ...this.#content, name }, "name");
  }

  setAppView(view: AppView): void {
    this.change("Change the app view", { ...this.#content, app: view });
  }
}

/** Whether a node means what it meant; where it stands and how it looks is nothing of that. */
function isUnchanged(node: string | null, before: Content, after: Content): boolean {
  if (node === null) return true;
  const [a, b] = [before.nodes[node], after.nodes[node]];
  if (!a || !b || a.type !== b.type || a.settings !== b.settings || a.mode !== b.mode) return false;
  if (before.wires === after.wires) return true;
  const leading = (content: Content) => content.wires.filter((wire) => isWire(wire) && target(wire).node === node).join("\n");
  return leading(before) === leading(after);
}
