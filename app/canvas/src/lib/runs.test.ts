import { beforeEach, expect, test, vi } from "vitest";
import { Api, ApiError, problem } from "./api";
import { RunsState } from "./runs.svelte";
import { Stage } from "./stage.svelte";
import { Tab } from "./tab";
import type { Job, JobDetail, Message, NodeState, OpenDocument } from "./types";
import { Ui } from "./ui.svelte";

class Wire {
  readyState = 1;
  sent: unknown[] = [];
  onopen = () => {};
  onclose = () => {};
  onerror = () => {};
  onmessage = (_event: { data: string }) => {};
  send = (text: string) => this.sent.push(JSON.parse(text));
  close = () => this.onclose();
}

const content = { format: 1, nodes: { sample: { type: "denoise" } }, wires: [] };
const running: NodeState = {
  ...{
    status: "running",
    done: 3,
    total: 10,
    label: "",
    seconds: 2,
    left: 4,
    error: "",
    preview: null,
    outputs: [],
    facts: {},
  },
};
const job = (change: Partial<Job>): Job => ({
  ...{
    id: "a",
    name: "",
    status: "running",
    file: null,
    client: "me",
    device: "cpu",
    submitted: 1,
    started: 2,
    ended: null,
  },
  ...{ progress: 0.3, error: "", thumbnail: null },
  ...change,
});
const detail = (change: Partial<JobDetail>): JobDetail => ({
  ...job(change),
  workflow: content,
  goals: null,
  nodes: {},
  warnings: [],
  ...change,
});

let wires: Wire[];
let runs: RunsState;
let api: Api;
let advance: ReturnType<typeof vi.fn>;

beforeEach(() => {
  vi.useFakeTimers();
  const stored = new Map<string, string>();
  vi.stubGlobal("location", new URL("http://here/"));
  vi.stubGlobal("window", { addEventListener() {}, removeEventListener() {} });
  vi.stubGlobal("document", {
    addEventListener() {},
    removeEventListener() {},
    activeElement: null,
    visibilityState: "visible",
  });
  vi.stubGlobal("HTMLInputElement", class {});
  vi.stubGlobal("HTMLTextAreaElement", class {});
  vi.stubGlobal("BroadcastChannel", undefined);
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key),
  });
  stored.set("latentloom:client", "me");
  advance = vi.fn();
  api = new Api();
  make();
  return () => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  };
});

function make(): void {
  wires = [];
  const document = {
    content,
    path: null,
    readonly: false,
    problems: [],
    advanceSeeds: advance,
  } as unknown as OpenDocument;
  runs = new RunsState(api, document, new Stage(new Ui()), new Tab(), () => {
    wires.push(new Wire());
    return wires.at(-1) as unknown as WebSocket;
  });
}

const snapshot = (watched: JobDetail | null, jobs: Job[] = watched ? [job({})] : []): Message => ({
  type: "snapshot",
  paused: false,
  jobs,
  watched,
});

test("a snapshot twice changes nothing", () => {
  runs.watch("a");
  runs.receive(snapshot(detail({ nodes: { sample: running } })));
  const [state, jobs] = [runs.state("sample"), runs.jobs.map(({ id }) => id)];
  runs.receive(snapshot(detail({ nodes: { sample: { ...running } } })));
  expect(runs.state("sample")).toEqual(state);
  expect(runs.jobs.map(({ id }) => id)).toEqual(jobs);
});

test("messages out of order or of other jobs do no harm", () => {
  runs.watch("a");
  runs.receive(snapshot(detail({ nodes: { sample: running } })));
  const done: NodeState = { ...running, status: "done", seconds: 6 };
  runs.receive({ type: "node", job: "a", node: "sample", state: done });
  runs.receive({ type: "node", job: "a", node: "sample", state: running });
  runs.receive({ type: "node", job: "b", node: "sample", state: { ...running, status: "failed" } });
  expect(runs.state("sample")).toEqual(done);
  runs.receive({ type: "job", job: job({ status: "done", progress: 1 }) });
  runs.receive({ type: "job", job: job({ progress: 0.9 }) });
  expect(runs.watched?.status).toBe("done");
});

test("states of nodes of the job before are gone", () => {
  runs.watch("a");
  runs.receive(snapshot(detail({ nodes: { sample: running, old: running } })));
  runs.watch("b");
  runs.receive({
    type: "snapshot",
    paused: false,
    jobs: [job({ id: "b" })],
    watched: detail({ id: "b", nodes: { sample: { ...running, seconds: 0 } } }),
  });
  expect(runs.state("old")).toBeUndefined();
  expect(runs.state("sample")?.seconds).toBe(0);
});

test("an answer about a job that is no longer looked at is put aside", () => {
  runs.watch("a");
  runs.watch("b");
  runs.receive(snapshot(detail({ id: "a", nodes: { sample: running } })));
  expect(runs.state("sample")).toBeUndefined();
});

test("a reload finds the run of this tab", () => {
  runs.watch("a");
  make();
  runs.start();
  wires[0]!.onopen();
  expect(wires[0]!.sent).toEqual([{ type: "hello", client: "me", watch: "a", file: null }]);
});

test("a run of this tab that was not remembered is found on arrival, a stranger's is not", () => {
  runs.start();
  wires[0]!.onopen();
  runs.receive(snapshot(null, [job({ id: "stranger", client: "you" }), job({ id: "mine" })]));
  expect(wires[0]!.sent.at(-1)).toEqual({ type: "watch", job: "mine" });
});

test("a lost connection is tried again, with a hello", () => {
  const stop = runs.start();
  wires[0]!.onopen();
  expect(runs.connected).toBe(true);
  wires[0]!.onclose();
  expect(runs.connected).toBe(false);
  vi.advanceTimersByTime(1000);
  expect(wires).toHaveLength(2);
  wires[1]!.onopen();
  expect(wires[1]!.sent).toHaveLength(1);
  stop();
  vi.advanceTimersByTime(60_000);
  expect(wires).toHaveLength(2);
});

test("silence is asked about, and taken for a loss when no answer comes", () => {
  runs.start();
  wires[0]!.onopen();
  vi.advanceTimersByTime(20_000);
  expect(wires[0]!.sent).toHaveLength(2);
  vi.advanceTimersByTime(10_000);
  expect(runs.connected).toBe(false);
});

test("a job the server forgot is shown from the history", async () => {
  api.run = async () => ({
    ...{
      workflow: content,
      goals: null,
      nodes: { sample: { ...running, status: "cancelled" as const } },
      lock: {},
      files: [],
    },
    run: {
      ...{ id: "a", name: "", status: "interrupted", file: null, submitted: 1, seconds: null, error: "", pictures: [] },
    },
  });
  runs.watch("a");
  runs.receive(snapshot(detail({ nodes: { sample: running } })));
  runs.receive(snapshot(null));
  await vi.advanceTimersByTimeAsync(0);
  expect(runs.watched?.status).toBe("cancelled");
  expect(runs.state("sample")?.status).toBe("cancelled");
});

test("submitting shows the job and moves the seeds on", async () => {
  const submitted = vi.fn(async () => job({ id: "new", status: "queued" }));
  api.submit = submitted;
  expect((await runs.submit({ goals: ["sample"] }))?.id).toBe("new");
  expect(submitted).toHaveBeenCalledWith(
    expect.objectContaining({ workflow: content, goals: ["sample"], client: "me", file: null }),
  );
  expect(advance).toHaveBeenCalledOnce();
  expect(runs.jobs.map(({ id }) => id)).toEqual(["new"]);
});

test("what cannot run is said, and stops a batch", async () => {
  const refused = vi.fn(async () => {
    throw new ApiError([problem("No model.")], 422);
  });
  api.submit = refused;
  expect(await runs.submitTimes(3)).toBe(0);
  expect(refused).toHaveBeenCalledOnce();
  expect(runs.stage.obstacles.map(({ sentence }) => sentence)).toEqual(["No model."]);
  expect(runs.document.problems).toHaveLength(1);
  expect(advance).not.toHaveBeenCalled();
});

test("the next run of a batch is followed when the first has ended", () => {
  runs.start();
  wires[0]!.onopen();
  runs.receive(snapshot(null, [job({ id: "one" }), job({ id: "two", status: "queued" })]));
  runs.receive({
    type: "snapshot",
    paused: false,
    jobs: [job({ id: "one" }), job({ id: "two", status: "queued" })],
    watched: detail({ id: "one" }),
  });
  runs.receive({ type: "job", job: job({ id: "one", status: "done" }) });
  runs.receive({ type: "job", job: job({ id: "two", status: "running" }) });
  expect(wires[0]!.sent.at(-1)).toEqual({ type: "watch", job: "two" });
});
