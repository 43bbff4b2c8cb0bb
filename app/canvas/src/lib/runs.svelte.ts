/** The jobs the server knows, live, and the one whose states the canvas shows. */

import { SvelteMap } from "svelte/reactivity";
import { type Api, ApiError, problem, problemsOf } from "./api";
import { isActive, isSettled, laterJob, laterState, placeFor } from "./progress";
import { Socket } from "./socket";
import type { Stage } from "./stage.svelte";
import type { Tab } from "./tab";
import type { Job, JobDetail, Message, NodeState, OpenDocument, Request, Run, Runs } from "./types";

/** A field that is typed in hands over what it holds, before the document is read. */
export function flushFields(): void {
  const field = document.activeElement;
  const typed = field instanceof HTMLInputElement && ["text", "number", "search"].includes(field.type);
  if (typed || field instanceof HTMLTextAreaElement) field.dispatchEvent(new Event("change", { bubbles: true }));
}

export interface SubmitOptions {
  /** Nodes to run to. */
  goals?: string[];
  /** Before all that wait. */
  front?: boolean;
  /** Problems are marked on their nodes only. */
  quiet?: boolean;
}

type FileMessage = Extract<Message, { type: "file" | "presence" }>;

export class RunsState implements Runs {
  connected = $state(false);
  /** Whether a connection was there before: then its loss is worth saying. */
  everConnected = $state(false);
  paused = $state(false);
  submitting = $state(false);
  watched = $state.raw<JobDetail | null>(null);
  #order = $state.raw<readonly string[]>([]);
  #jobs = new SvelteMap<string, Job>();
  #states = new SvelteMap<string, NodeState>();
  #list = $derived(this.#order.map((id) => this.#jobs.get(id)!));
  /** Show the next job of the open workflow when the watched one has ended. */
  #follow = true;
  /** Jobs sent from the open workflow, also before it had a file. */
  #sent = new Set<string>();
  #looked = false;
  #wanted: string | null;
  #socket: Socket;
  #fileListeners = new Set<(message: FileMessage) => void>();

  constructor(
    readonly api: Api,
    readonly document: OpenDocument,
    readonly stage: Stage,
    readonly tab: Tab,
    makeSocket?: (address: string) => WebSocket,
  ) {
    this.#wanted = tab.watched;
    tab.renamed = () => {
      api.client = tab.client;
      this.#socket.send(this.#greeting());
    };
    this.#socket = new Socket(
      api.events,
      {
        message: (message) => this.receive(message),
        greeting: () => this.#greeting(),
        connected: (is) => this.#connection(is),
      },
      makeSocket,
    );
  }

  get client(): string {
    return this.tab.client;
  }

  get jobs(): readonly Job[] {
    return this.#list;
  }

  get active(): readonly Job[] {
    return this.#list.filter((job) => isActive(job.status));
  }

  get running(): Job | null {
    return this.#list.find((job) => job.status === "running") ?? null;
  }

  job(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  state(node: string): NodeState | undefined {
    return this.#states.get(node);
  }

  get states(): ReadonlyMap<string, NodeState> {
    return this.#states;
  }

  /** Connect, and stay so. Gives what undoes it. */
  start(): () => void {
    const hurry = () => document.visibilityState === "visible" && this.#socket.hurry();
    window.addEventListener("online", hurry);
    document.addEventListener("visibilitychange", hurry);
    this.#socket.open();
    return () => {
      window.removeEventListener("online", hurry);
      document.removeEventListener("visibilitychange", hurry);
      this.#socket.close();
    };
  }

  /** Hear of files that others save or open. */
  onFile(listener: (message: FileMessage) => void): () => void {
    this.#fileListeners.add(listener);
    return () => this.#fileListeners.delete(listener);
  }

  /** Tell the server which file this tab has open. */
  announce(path: string | null): void {
    this.#socket.send({ type: "file", path });
  }

  async submit(options: SubmitOptions = {}): Promise<Job | null> {
    if (this.document.readonly) return null;
    flushFields();
    this.submitting = true;
    try {
      const job = await this.api.submit({
        workflow: this.document.content,
        goals: options.goals,
        front: options.front,
        file: this.document.path,
        client: this.client,
      });
      this.document.problems = [];
      this.stage.obstacles = [];
      this.document.advanceSeeds();
      this.#sent.add(job.id);
      this.#follow = true;
      this.#heard(job);
      if (!this.#watchedIsActive()) this.#show(job.id);
      return job;
    } catch (error) {
      this.#refused(error, options.quiet);
      return null;
    } finally {
      this.submitting = false;
    }
  }

  /** Queue the document so many times, its seeds moving on as their rules say. Stops at the first refusal. */
  async submitTimes(count: number, options: SubmitOptions = {}): Promise<number> {
    for (let sent = 0; sent < count; sent++) if (!(await this.submit(options))) return sent;
    return count;
  }

  async cancel(job?: string): Promise<void> {
    const mine = () => this.active.find((candidate) => candidate.client === this.client);
    const id = job ?? (this.#watchedIsActive() ? this.watched?.id : (this.running ?? mine())?.id);
    if (id) await this.#attempt(async () => this.#heard(await this.api.cancel(id)));
  }

  async move(job: string, before: string | null): Promise<void> {
    await this.#attempt(async () => this.#replaceJobs((await this.api.move(job, before)).jobs));
  }

  async pause(paused: boolean): Promise<void> {
    await this.#attempt(async () => this.#queue(await this.api.queue({ paused })));
  }

  async clear(): Promise<void> {
    await this.#attempt(async () => this.#queue(await this.api.queue({ clear: true })));
  }

  watch(job: string | null): void {
    this.#follow = job === null || isActive(this.#jobs.get(job)?.status ?? "done");
    this.#show(job);
  }

  /** Show a run as it was kept, which the server's queue need not know any more. */
  showPast(past: JobDetail): void {
    this.#follow = true;
    this.#wanted = this.tab.watched = past.id;
    this.#adopt(past);
  }

  /** After another workflow was opened: its job that is not over, if any, is the one to show. */
  watchFile(path: string | null): void {
    this.#sent.clear();
    const ours = path === null ? undefined : this.active.find((job) => job.file === path);
    this.#follow = ours !== undefined;
    this.#show(ours?.id ?? null);
  }

  /** What came over the socket. Doubled and late messages change nothing. */
  receive(message: Message): void {
    switch (message.type) {
      case "snapshot":
        this.#queue(message);
        this.#snapshot(message.watched);
        break;
      case "queue":
        this.#queue(message);
        break;
      case "job":
        this.#heard(message.job);
        break;
      case "node":
        if (message.job === this.watched?.id) this.#heardState(message.node, message.state);
        break;
      case "file":
      case "presence":
        for (const listener of this.#fileListeners) listener(message);
        break;
    }
  }

  #greeting(): Request {
    return { type: "hello", client: this.client, watch: this.#wanted, file: this.document.path };
  }

  #connection(is: boolean): void {
    if (is && this.everConnected && !this.connected) this.stage.say("Connected again.");
    this.connected = is;
    this.everConnected ||= is;
  }

  #queue(state: { paused: boolean; jobs: Job[] }): void {
    this.paused = state.paused;
    this.#replaceJobs(state.jobs);
  }

  #replaceJobs(jobs: Job[]): void {
    const kept = new Set(jobs.map((job) => job.id));
    for (const id of this.#jobs.keys()) if (!kept.has(id)) this.#jobs.delete(id);
    for (const job of jobs) this.#learn(job);
    const order = jobs.map((job) => job.id);
    if (order.join() !== this.#order.join()) this.#order = order;
    for (const job of jobs) this.#followTo(job);
  }

  #heard(job: Job): void {
    const known = this.#jobs.has(job.id);
    this.#learn(job);
    if (!known) {
      const order = [...this.#order];
      order.splice(placeFor(order, this.#jobs), 0, job.id);
      this.#order = order;
    }
    this.#followTo(job);
  }

  #learn(job: Job): void {
    const known = this.#jobs.get(job.id);
    const later = laterJob(known, job);
    if (later !== known) this.#jobs.set(job.id, later);
    if (this.watched?.id === job.id) this.watched = { ...this.watched, ...laterJob(this.watched, later) };
  }

  #followTo(job: Job): void {
    if (!this.#follow || !this.#isOurs(job) || job.status !== "running" || job.id === this.#wanted) return;
    if (!this.#watchedIsActive() || this.watched?.status === "queued") this.#show(job.id);
  }

  /** Whether it was sent by this tab, from the workflow that is open. */
  #isOurs(job: Job): boolean {
    return job.client === this.client && (this.#sent.has(job.id) || job.file === this.document.path);
  }

  #watchedIsActive(): boolean {
    if (this.#wanted === null) return false;
    const job = this.#jobs.get(this.#wanted) ?? (this.watched?.id === this.#wanted ? this.watched : null);
    return job !== null && isActive(job.status);
  }

  #show(job: string | null): void {
    this.#wanted = this.tab.watched = job;
    if (job === null) this.#adopt(null);
    this.#socket.send({ type: "watch", job });
  }

  #snapshot(watched: JobDetail | null): void {
    if (watched) {
      // An answer to a question since withdrawn is of no use.
      if (watched.id === this.#wanted) this.#adopt(watched);
    } else if (this.#wanted === null) {
      this.#findAgain();
    } else if (this.watched?.id !== this.#wanted || this.#watchedIsActive()) {
      void this.#recall(this.#wanted);
    }
  }

  /** On arrival: a job of this tab or this file that is not over. */
  #findAgain(): void {
    if (this.#looked) return;
    this.#looked = true;
    const { path } = this.document;
    const lost = this.active.find((job) => this.#isOurs(job) || (path !== null && job.file === path));
    if (lost) this.#show(lost.id);
  }

  /** The server's queue forgot the job, as after a restart: the history may know it. */
  async #recall(job: string): Promise<void> {
    const wasActive = this.watched?.id === job && isActive(this.watched.status);
    try {
      const past = await this.api.run(job);
      if (job !== this.#wanted) return;
      this.#adopt(asDetail(past.run, past.workflow, past.nodes));
    } catch (error) {
      if (job !== this.#wanted || (error instanceof ApiError && error.status === 0)) return;
      if (wasActive) this.#breakOff();
      this.#wanted = this.tab.watched = null;
      this.#findAgain();
    }
    if (wasActive && this.watched?.status !== "done") {
      this.stage.complain([problem("The server was restarted while your workflow ran. Run it again.")]);
    }
  }

  /** Show what was under way in the watched job as ended. */
  #breakOff(): void {
    if (this.watched) this.watched = { ...this.watched, status: "cancelled" };
    for (const [node, state] of this.#states) {
      if (!isSettled(state.status)) this.#states.set(node, { ...state, status: "cancelled" });
    }
  }

  #adopt(detail: JobDetail | null): void {
    const same = detail !== null && this.watched?.id === detail.id;
    const known = detail ? this.#jobs.get(detail.id) : undefined;
    this.watched = detail && known ? { ...detail, ...laterJob(known, detail) } : detail;
    const heard = detail?.nodes ?? {};
    for (const node of this.#states.keys()) if (!(node in heard)) this.#states.delete(node);
    for (const [node, state] of Object.entries(heard)) {
      if (same) this.#heardState(node, state);
      else this.#states.set(node, state);
    }
  }

  #heardState(node: string, state: NodeState): void {
    const known = this.#states.get(node);
    const later = laterState(known, state);
    if (later !== known) this.#states.set(node, later);
  }

  #refused(error: unknown, quiet = false): void {
    const problems = problemsOf(error);
    if (error instanceof ApiError && error.status === 422) {
      this.document.problems = problems;
      if (!quiet) this.stage.obstacles = problems;
    } else this.stage.complain(problems);
  }

  async #attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#refused(error);
    }
  }
}

/** A kept run in the shape of a job. */
export function asDetail(run: Run, workflow: JobDetail["workflow"], nodes: JobDetail["nodes"]): JobDetail {
  const { id, name, file, error, submitted, seconds } = run;
  const status = run.status === "interrupted" ? "cancelled" : run.status;
  return {
    ...{ id, name, status, file, error, submitted, started: submitted, workflow, nodes },
    ...{ client: null, device: "", thumbnail: null, goals: null, warnings: [] },
    ended: seconds === null ? null : submitted + seconds,
    progress: status === "done" ? 1 : 0,
  };
}
