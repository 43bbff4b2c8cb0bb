/** What passes between the server, the document and the canvas. The server's side of each is named beside it. */

// ---------------------------------------------------------------- the catalog (GET /api/catalog)

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Schema {
  [key: string]: unknown;
  type?: string;
  format?: string;
  enum?: Json[];
  const?: Json;
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  default?: Json;
  items?: Schema;
}

/** One setting of a kind of node; `reads` names the folders its value is looked up in (`input`, `models`), if it is a file. */
export interface SettingKind {
  name: string;
  kind: string;
  required: boolean;
  default: Json;
  description: string;
  schema: Schema;
  reads: string | null;
  writes: boolean;
}

export interface InputKind {
  name: string;
  /** Names of the types it takes. */
  types: string[];
  optional: boolean;
  /** Takes any number of wires. */
  many: boolean;
}

export interface OutputKind {
  name: string;
  types: string[];
}

export interface NodeKind {
  name: string;
  /** `name` in words: "Encode prompt". */
  title: string;
  category: string;
  effect: boolean;
  summary: string;
  doc: string;
  links: string[];
  inputs: InputKind[];
  outputs: OutputKind[];
  settings: SettingKind[];
}

export interface Catalog {
  nodes: NodeKind[];
  /** Each type a wire carries: itself and the types it is a kind of, nearest first. */
  types: Record<string, string[]>;
  /** Kinds of nodes that could not be loaded, each with its sentence. */
  problems: Problem[];
}

// ---------------------------------------------------------------- the workflow file (graph/workflow.py)

/** How a node takes part in a run (graph/modes.py): absent is as usual. */
export type Mode = "mute" | "bypass";

/** What becomes of a seed after each submitted run; absent is "fixed". */
export type SeedRule = "fixed" | "increment" | "random";

export interface NodeEntry {
  type: string;
  settings?: Record<string, Json>;
  at?: [number, number];
  mode?: Mode;
  title?: string;
  collapsed?: boolean;
  width?: number;
  seeds?: Record<string, SeedRule>;
  [unknown: string]: unknown;
}

/** `["node.output", "node.input"]`; node names may hold dots, port names may not. */
export type Wire = [string, string];

/** A bend that wires from one output pass through, in the order of the list. Only drawn; the wires themselves are direct. */
export interface Reroute {
  at: [number, number];
  wires: Wire[];
}

export interface Group {
  title: string;
  at: [number, number];
  size: [number, number];
  color?: string;
}

export interface Note {
  text: string;
  at: [number, number];
  size: [number, number];
  color?: string;
}

/** What the plain form of the workflow shows. */
export interface AppView {
  inputs: { setting: string; label?: string }[];
  outputs: { node: string; label?: string }[];
}

export interface Content {
  format: number;
  name?: string;
  /** What it is for, in a line; shown with the templates. */
  description?: string;
  nodes: Record<string, NodeEntry>;
  wires: Wire[];
  groups?: Group[];
  notes?: Note[];
  reroutes?: Reroute[];
  app?: AppView;
  lock?: Record<string, unknown>;
  [unknown: string]: unknown;
}

/** Something wrong, where it stands (graph/problems.py). */
export interface Problem {
  sentence: string;
  node: string | null;
  port: string | null;
  setting: string | null;
  /** False where it lies off what a run needs. */
  needed: boolean;
}

// ---------------------------------------------------------------- jobs (app/jobs/wire.py)

export type NodeStatus = "waiting" | "running" | "done" | "reused" | "failed" | "skipped" | "cancelled" | "muted";
export type JobStatus = "queued" | "running" | "done" | "failed" | "cancelled";

export type Output =
  | { kind: "image"; name: string; url: string; width: number; height: number; full: string | null }
  | { kind: "table"; name: string; columns: string[]; rows: Json[][] }
  | { kind: "figure"; name: string; title: string; x_label: string; y_label: string; series: Series[] }
  | { kind: "text"; name: string; text: string };

export interface Series {
  name: string;
  x: number[];
  y: number[];
  points: boolean;
}

/** All there is to tell of a node in a job: each message replaces the one before. */
export interface NodeState {
  status: NodeStatus;
  done: number;
  total: number;
  label: string;
  /** Spent, so far or in all. */
  seconds: number;
  /** Guessed; null while it cannot be. */
  left: number | null;
  /** Why it failed or was skipped. */
  error: string;
  /** A picture of the state in mid-run, as a data URL. */
  preview: string | null;
  outputs: Output[];
  /** What the node noted for the report. */
  facts: Record<string, Json>;
}

export interface Job {
  id: string;
  name: string;
  status: JobStatus;
  /** The file it was submitted from, and the tab that did. */
  file: string | null;
  client: string | null;
  device: string;
  /** Seconds since 1970. */
  submitted: number;
  started: number | null;
  ended: number | null;
  /** Share of nodes and steps done, 0 to 1. */
  progress: number;
  error: string;
  /** A picture it made, small. */
  thumbnail: string | null;
}

export interface JobDetail extends Job {
  workflow: Content;
  goals: string[] | null;
  nodes: Record<string, NodeState>;
  warnings: Problem[];
}

/** What the server sends over the socket at /api/events. */
export type Message =
  | { type: "snapshot"; paused: boolean; jobs: Job[]; watched: JobDetail | null }
  | { type: "queue"; paused: boolean; jobs: Job[] }
  | { type: "job"; job: Job }
  | { type: "node"; job: string; node: string; state: NodeState }
  | { type: "file"; path: string; etag: string | null; client: string | null }
  | { type: "presence"; path: string; others: number };

/** What the page sends. A new `watch` is answered with a snapshot. */
export type Request =
  | { type: "hello"; client: string; watch: string | null; file: string | null }
  | { type: "watch"; job: string | null }
  | { type: "file"; path: string | null };

// ---------------------------------------------------------------- what is kept (app/workspace)

export interface FileEntry {
  path: string;
  name: string;
  modified: number;
  /** Shipped or shared files cannot be written. */
  writable: boolean;
}

export interface OpenedFile {
  path: string | null;
  content: Content;
  /** Names this state of the file; sent back when saving so that nobody's work is overwritten. */
  etag: string | null;
  writable: boolean;
  /** Sentences of the upgrades it went through. */
  changes: string[];
  problems: Problem[];
}

export interface Version {
  id: number;
  path: string;
  saved: number;
  nodes: number;
  label: string;
}

export interface Template {
  name: string;
  title: string;
  about: string;
  picture: string | null;
}

export interface Draft {
  id: string;
  saved: number;
  path: string | null;
  etag: string | null;
  content: Content;
}

/** A past run, in the gallery. */
export interface Run {
  id: string;
  name: string;
  status: JobStatus | "interrupted";
  file: string | null;
  submitted: number;
  seconds: number | null;
  error: string;
  pictures: { thumbnail: string; url: string; full: string | null; node: string; width: number; height: number }[];
}

/**
 * What differs between two workflows in meaning (graph/difference.py). What was taken away (`removed`, `wires_removed`)
 * is named as before, all else as after.
 */
export interface Difference {
  added: { node: string; type: string }[];
  removed: { node: string; type: string }[];
  /** One node under two names; that alone is no difference. */
  renamed: { before: string; after: string }[];
  /** `before` or `after` is absent where the setting has no value. */
  changed: { node: string; setting: string; before?: Json; after?: Json }[];
  retyped: { node: string; before: string; after: string }[];
  modes: { node: string; before: Mode | null; after: Mode | null }[];
  wires_added: Wire[];
  wires_removed: Wire[];
}

// ---------------------------------------------------------------- between the parts of the page

/** The open workflow: lib/document.svelte.ts. Everything that changes it goes through here and can be undone. */
export interface OpenDocument {
  /** Plain JSON, as it is saved and run. */
  readonly content: Content;
  /** Grows with each change. */
  readonly revision: number;
  readonly dirty: boolean;
  readonly readonly: boolean;
  readonly selection: readonly string[];
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  /** The file it came from. */
  path: string | null;
  etag: string | null;
  /** Problems the server found, shown where they stand. */
  problems: Problem[];

  open(file: OpenedFile): void;
  /** The state now is what the file holds. */
  saved(path: string, etag: string): void;
  /** Settings typed one after another into the same field are one step to undo. */
  setSetting(node: string, setting: string, value: Json): void;
  /** Back to the default. */
  clearSetting(node: string, setting: string): void;
  setSeedRule(node: string, setting: string, rule: SeedRule): void;
  /** Seeds as their rules have them after a submitted run; one undo step with `setSetting` of the next edit is not needed. */
  advanceSeeds(): void;
  setMode(nodes: readonly string[], mode: Mode | null): void;
  setTitle(node: string, title: string): void;
  setName(name: string): void;
  setAppView(view: AppView): void;
  /** Replace everything, as one step that can be undone. */
  replace(content: Content): void;
  select(nodes: readonly string[]): void;
  undo(): void;
  redo(): void;
}

/** The jobs the server knows: lib/runs.svelte.ts. */
export interface Runs {
  readonly client: string;
  readonly connected: boolean;
  readonly paused: boolean;
  readonly jobs: readonly Job[];
  /** The job whose states the canvas shows. */
  readonly watched: JobDetail | null;
  /** State of a node in the watched job. Reactive a node at a time. */
  state(node: string): NodeState | undefined;
  /** Queue the document; `goals` are the nodes to run to. Gives the job, or null after showing the problems. */
  submit(options?: { goals?: string[]; front?: boolean }): Promise<Job | null>;
  cancel(job?: string): Promise<void>;
  watch(job: string | null): void;
}
