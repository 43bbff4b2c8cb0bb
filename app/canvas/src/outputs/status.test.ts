import { expect, test } from "vitest";
import type { NodeState } from "../lib/types";
import { brief, share, told } from "./status";

const state: NodeState = {
  ...{ status: "running", done: 3, total: 25, label: "", seconds: 2, left: 4.2 },
  ...{ error: "", preview: null, outputs: [], facts: {} },
};

test("a running node tells its step and the time left", () => {
  expect(told(state)).toBe("step 3 of 25, 4.2 s left");
  expect(told({ ...state, label: "tile", left: null })).toBe("tile 3 of 25, 2.0 s");
  expect(told({ ...state, total: 0, label: "loading", left: null, seconds: 0.2 })).toBe("loading");
  expect(share(state)).toBe(0.12);
  expect(share({ ...state, total: 0 })).toBeNull();
});

test("a title line has room for the step or the time", () => {
  expect(brief(state)).toBe("3/25");
  expect(brief({ ...state, total: 0 })).toBe("");
  expect(brief({ ...state, status: "done", seconds: 1.25 })).toBe("1.3 s");
  expect(brief({ ...state, status: "failed" })).toBe("");
});

test("one that ended tells its time, the others nothing", () => {
  expect(told({ ...state, status: "done", seconds: 65 })).toBe("1 min 5 s");
  expect(told({ ...state, status: "reused" })).toBe("");
  expect(share({ ...state, status: "done" })).toBeNull();
});
