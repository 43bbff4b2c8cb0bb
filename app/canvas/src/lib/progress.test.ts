import { expect, test } from "vitest";
import { laterJob, laterState, placeFor } from "./progress";
import type { Job, NodeState } from "./types";

const state = (change: Partial<NodeState>): NodeState => ({
  ...{
    status: "waiting",
    done: 0,
    total: 0,
    label: "",
    seconds: 0,
    left: null,
    error: "",
    preview: null,
    outputs: [],
    facts: {},
  },
  ...change,
});

const job = (change: Partial<Job>): Job => ({
  ...{
    id: "a",
    name: "",
    status: "queued",
    file: null,
    client: null,
    device: "",
    submitted: 0,
    started: null,
    ended: null,
  },
  ...{ progress: 0, error: "", thumbnail: null },
  ...change,
});

test("a node's state never goes back", () => {
  const early = state({ status: "running", done: 2, seconds: 1 });
  const late = state({ status: "running", done: 9, seconds: 4 });
  const done = state({ status: "done", seconds: 5 });
  expect(laterState(undefined, early)).toBe(early);
  expect(laterState(early, late)).toBe(late);
  expect(laterState(late, early)).toBe(late);
  expect(laterState(done, late)).toBe(done);
  expect(laterState(late, done)).toBe(done);
  expect(laterState(done, state({}))).toBe(done);
});

test("an ended state may be told better", () => {
  const failed = state({ status: "failed", error: "Out of memory." });
  expect(laterState(state({ status: "done" }), failed)).toBe(failed);
});

test("a second phase of the same node counts from the start again", () => {
  const second = state({ status: "running", done: 0, total: 3, seconds: 6 });
  expect(laterState(state({ status: "running", done: 20, total: 20, seconds: 5 }), second)).toBe(second);
});

test("a job never goes back", () => {
  const running = job({ status: "running", progress: 0.6 });
  expect(laterJob(running, job({ status: "queued" }))).toBe(running);
  expect(laterJob(running, job({ status: "running", progress: 0.4 }))).toBe(running);
  const cancelled = job({ status: "cancelled" });
  expect(laterJob(running, cancelled)).toBe(cancelled);
  expect(laterJob(cancelled, running)).toBe(cancelled);
});

test("a new job stands behind those that wait and before the ended", () => {
  const jobs = new Map([
    ["a", job({ status: "running" })],
    ["b", job({})],
    ["c", job({ status: "done" })],
  ]);
  expect(placeFor(["a", "b", "c"], jobs)).toBe(2);
  expect(placeFor(["a", "b"], jobs)).toBe(2);
  expect(placeFor([], jobs)).toBe(0);
});
