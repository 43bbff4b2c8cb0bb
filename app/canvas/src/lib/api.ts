/** The server's routes as functions. Each throws an `ApiError` whose problems are sentences. */

import type {
  Catalog,
  Content,
  Difference,
  Draft,
  FileEntry,
  Job,
  JobDetail,
  Json,
  NodeState,
  OpenedFile,
  Output,
  Problem,
  Run,
  Template,
  Version,
} from "./types";

export class ApiError extends Error {
  constructor(
    readonly problems: Problem[],
    /** The HTTP status, 0 when the server could not be reached. */
    readonly status: number,
    /** The file's etag now, where a save met another's. */
    readonly etag: string | null = null,
  ) {
    super(problems.map((problem) => problem.sentence).join(" "));
    this.name = "ApiError";
  }
}

export interface Info {
  version: string;
  devices: string[];
  protected: boolean;
  limits: Record<string, number>;
  workspace: string;
}

export interface Submission {
  workflow: Content;
  goals?: string[];
  file?: string | null;
  client?: string;
  front?: boolean;
  device?: string;
}

export interface QueueState {
  paused: boolean;
  jobs: Job[];
}

export interface Result {
  status: Job["status"];
  outputs: Record<string, Output[]>;
  files: { name: string; url: string }[];
}

export interface PastRun {
  run: Run;
  workflow: Content;
  goals: string[] | null;
  nodes: Record<string, NodeState>;
  lock: Record<string, unknown>;
  files: string[];
}

export interface RunComparison {
  a: Run;
  b: Run;
  difference: Difference;
}

/** A draft as it is listed: without its content. */
export type DraftEntry = Omit<Draft, "content"> & { name: string; nodes: number };

export interface Upload {
  path: string;
  width: number;
  height: number;
}

export interface Share {
  token: string;
  url: string;
}

/** A share as it is listed. */
export interface ShareEntry {
  token: string;
  name: string;
  shared: number;
}

export interface Shared {
  content: Content;
  picture: string | null;
  name: string;
  shared: number;
}

/** How a file is to be found when it is saved: as this etag names it, or not at all. */
export type Expected = { etag: string } | "absent";

export function problem(sentence: string): Problem {
  return { sentence, node: null, port: null, setting: null, needed: true };
}

/** The sentences of anything thrown. */
export function problemsOf(error: unknown): Problem[] {
  if (error instanceof ApiError) return error.problems;
  return [problem(error instanceof Error ? error.message : String(error))];
}

/** A path as it stands in a URL: its slashes stay. */
export function inUrl(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

const UNREACHABLE = "The server cannot be reached. Nothing is lost: this page keeps a draft and tries again.";

function refusal(status: number, text: string): ApiError {
  let body: { problems?: Problem[]; etag?: string | null } = {};
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page of HTML, say: the status alone has to do.
  }
  const problems = Array.isArray(body?.problems) ? body.problems : [];
  if (problems.length === 0) problems.push(problem(sentenceOf(status)));
  return new ApiError(problems, status, body?.etag ?? null);
}

function sentenceOf(status: number): string {
  if (status === 401 || status === 403) return "This server asks you to sign in: reload the page to do so.";
  if (status === 404) return "That is not there any more.";
  if (status === 413) return "That file is larger than this server takes.";
  return `The server answered with status ${status} and gave no reason.`;
}

export class Api {
  /** `root` is where the server is mounted: "", "/latentloom" or a whole address. */
  constructor(
    readonly root: string = "",
    /** Tells the server which tab asks, so that others can be told. */
    public client: string | null = null,
  ) {
    this.root = root.replace(/\/+$/, "");
  }

  /** Address of something the server named by its path, as `/api/previews/...`. */
  url(path: string): string {
    return path.startsWith("/") ? this.root + path : path;
  }

  /** Address of the socket of events. */
  get events(): string {
    const address = new URL(`${this.root}/api/events`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    return address.href;
  }

  catalog = () => this.#get<Catalog>("/catalog");
  info = () => this.#get<Info>("/info");
  check = (workflow: Content, goals?: string[]) =>
    this.#send<{ problems: Problem[] }>("POST", "/check", { workflow, goals });
  difference = (before: Content, after: Content) => this.#send<Difference>("POST", "/difference", { before, after });

  jobs = () => this.#get<QueueState>("/jobs");
  submit = (submission: Submission) => this.#send<Job>("POST", "/jobs", submission);
  job = (id: string) => this.#get<JobDetail>(`/jobs/${inUrl(id)}`);
  cancel = (id: string) => this.#send<Job>("DELETE", `/jobs/${inUrl(id)}`);
  move = (id: string, before: string | null) =>
    this.#send<{ jobs: Job[] }>("POST", `/jobs/${inUrl(id)}/move`, { before });
  queue = (change: { paused?: boolean; clear?: boolean }) => this.#send<QueueState>("POST", "/queue", change);
  result = (id: string, wait?: number) => this.#get<Result>(`/jobs/${inUrl(id)}/result`, { wait });

  files = () => this.#get<{ files: FileEntry[] }>("/files");
  file = (path: string) => this.#get<OpenedFile>(`/files/${inUrl(path)}`);
  save = (path: string, content: Content, expected: Expected, label?: string) =>
    this.#send<{ path: string; etag: string }>(
      "PUT",
      `/files/${inUrl(path)}`,
      { content, label },
      expected === "absent" ? { "If-None-Match": "*" } : { "If-Match": expected.etag },
    );
  rename = (path: string, to: string) =>
    this.#send<{ path: string; etag: string }>("POST", `/files/${inUrl(path)}/rename`, { to });
  remove = (path: string) => this.#send<unknown>("DELETE", `/files/${inUrl(path)}`);
  versions = (path: string) => this.#get<{ versions: Version[] }>(`/versions/${inUrl(path)}`);
  labelVersion = (id: number, label: string) => this.#send<Version>("PUT", `/version/${id}/label`, { label });
  version = (id: number) => this.#get<OpenedFile>(`/version/${id}`);
  /** The workflow a JSON file or a picture carries. */
  open = (file: Blob) =>
    this.#fetch<OpenedFile>("/open", {
      method: "POST",
      body: file,
      headers: { "Content-Type": file.type || "application/octet-stream" },
    });

  templates = () => this.#get<{ templates: Template[] }>("/templates");
  template = (name: string) => this.#get<OpenedFile>(`/templates/${inUrl(name)}`);

  drafts = () => this.#get<{ drafts: DraftEntry[] }>("/drafts");
  draft = (id: string) => this.#get<Draft>(`/drafts/${inUrl(id)}`);
  /** `leaving` lets the request outlive the page. */
  putDraft = (draft: Draft, leaving = false) =>
    this.#send<unknown>("PUT", `/drafts/${inUrl(draft.id)}`, draft, {}, leaving);
  removeDraft = (id: string) => this.#send<unknown>("DELETE", `/drafts/${inUrl(id)}`);

  choices = (kind: string) => this.#get<{ choices: string[] }>(`/choices/${inUrl(kind)}`);
  /** Address of a picture below the input folders; `size` asks for a thumbnail of so many pixels. */
  input = (path: string, size?: number) => this.url(`/api/inputs/${inUrl(path)}${size ? `?size=${size}` : ""}`);

  /** Newest first; `before` is the time of the last run of the page before. */
  runs = (query: { search?: string; before?: number; limit?: number } = {}) =>
    this.#get<{ runs: Run[]; more: boolean }>("/runs", query);
  run = (id: string) => this.#get<PastRun>(`/runs/${inUrl(id)}`);
  removeRun = (id: string) => this.#send<unknown>("DELETE", `/runs/${inUrl(id)}`);
  compare = (a: string, b: string) => this.#get<RunComparison>("/runs/compare", { a, b });

  shares = () => this.#get<{ shares: ShareEntry[] }>("/shares");
  share = (workflow: Content, run?: string) => this.#send<Share>("POST", "/shares", { workflow, run });
  shared = (token: string) => this.#get<Shared>(`/shares/${inUrl(token)}`);
  revoke = (token: string) => this.#send<unknown>("DELETE", `/shares/${inUrl(token)}`);

  /** Send a picture; `progress` hears the share sent, 0 to 1, which `fetch` cannot tell. */
  upload(file: File, progress: (share: number) => void = () => {}): Promise<Upload> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("file", file, file.name);
      request.open("POST", `${this.root}/api/uploads`);
      request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      request.onerror = () => reject(new ApiError([problem(UNREACHABLE)], 0));
      request.onload = () => {
        if (request.status >= 400) reject(refusal(request.status, request.responseText));
        else resolve(JSON.parse(request.responseText));
      };
      request.send(form);
    });
  }

  #get<T>(path: string, query: Record<string, Json | undefined> = {}): Promise<T> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "" && value !== null);
    const search = new URLSearchParams(asked.map(([key, value]) => [key, String(value)])).toString();
    return this.#fetch<T>(search ? `${path}?${search}` : path, {});
  }

  #send<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
    keepalive = false,
  ): Promise<T> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    // Browsers refuse to keep alive a request of more than 64 kB.
    const outlives = keepalive && (text?.length ?? 0) < 60_000;
    return this.#fetch<T>(path, {
      method,
      body: text,
      keepalive: outlives,
      headers: { ...(text === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    });
  }

  async #fetch<T>(path: string, init: RequestInit): Promise<T> {
    const headers = {
      Accept: "application/json",
      ...(this.client ? { "X-Client": this.client } : {}),
      ...init.headers,
    };
    let response: Response;
    try {
      response = await fetch(`${this.root}/api${path}`, { credentials: "same-origin", ...init, headers });
    } catch {
      throw new ApiError([problem(UNREACHABLE)], 0);
    }
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, text);
    return (text ? JSON.parse(text) : null) as T;
  }
}
