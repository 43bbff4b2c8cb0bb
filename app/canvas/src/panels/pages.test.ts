import { expect, test, vi } from "vitest";
import type { Run } from "../lib/types";
import { RunPages } from "./pages.svelte";

const run = (id: string, submitted: number, status: Run["status"] = "done"): Run => ({
  ...{ id, name: "", status, file: null, submitted, seconds: 1, error: "", pictures: [] },
});

test("pages follow each other without doubles", async () => {
  const runs = vi.fn(async ({ before }: { before?: number } = {}) =>
    before === undefined
      ? { runs: [run("c", 3), run("b", 2)], more: true }
      : { runs: [run("b", 2), run("a", 1)], more: false },
  );
  const pages = new RunPages({ runs });
  await pages.ask({ search: "", status: "" });
  await pages.next();
  await pages.next();
  expect(pages.runs.map(({ id }) => id)).toEqual(["c", "b", "a"]);
  expect(runs).toHaveBeenCalledTimes(2);
});

test("a status is looked for beyond pages that only mention it", async () => {
  const runs = vi.fn(async ({ before }: { before?: number } = {}) =>
    before === undefined ? { runs: [run("b", 2)], more: true } : { runs: [run("a", 1, "failed")], more: false },
  );
  const pages = new RunPages({ runs });
  await pages.ask({ search: "x", status: "failed" });
  expect(runs).toHaveBeenCalledWith(expect.objectContaining({ search: "x failed" }));
  expect(pages.runs.map(({ id }) => id)).toEqual(["a"]);
});

test("runs that never began are only shown when they are asked for", async () => {
  const never = { ...run("b", 2, "cancelled"), seconds: null };
  const pages = new RunPages({ runs: async () => ({ runs: [never, run("a", 1, "cancelled")], more: false }) });
  await pages.ask({ search: "", status: "" });
  expect(pages.runs.map(({ id }) => id)).toEqual(["a"]);
  await pages.ask({ search: "", status: "cancelled" });
  expect(pages.runs.map(({ id }) => id)).toEqual(["b", "a"]);
});

test("the answer to an earlier question comes too late", async () => {
  let answer: (page: { runs: Run[]; more: boolean }) => void = () => {};
  const slow = new Promise<{ runs: Run[]; more: boolean }>((resolve) => (answer = resolve));
  const runs = vi.fn(({ search }: { search?: string } = {}) =>
    search === "a" ? slow : Promise.resolve({ runs: [run("new", 1)], more: false }),
  );
  const pages = new RunPages({ runs });
  const first = pages.ask({ search: "a", status: "" });
  await pages.ask({ search: "ab", status: "" });
  answer({ runs: [run("old", 2)], more: false });
  await first;
  expect(pages.runs.map(({ id }) => id)).toEqual(["new"]);
});
