import { expect, test } from "vitest";
import type { Run } from "../lib/types";
import { firstPair, rows } from "./difference";

test("each difference is one line, settings first", () => {
  const lines = rows({
    added: [{ node: "b", type: "resize" }],
    removed: [{ node: "c", type: "enlarge" }],
    renamed: [{ before: "f", after: "g" }],
    changed: [{ node: "s", setting: "steps", before: 20 }],
    retyped: [{ node: "d", before: "x", after: "y" }],
    modes: [{ node: "e", before: null, after: "bypass" }],
    wires_added: [["a.out", "b.in"]],
    wires_removed: [],
  });
  expect(lines.map(({ kind, where, before, after }) => [kind, where, before, after])).toEqual([
    ["setting", "s · steps", "20", "not set"],
    ["node", "b", "", "resize"],
    ["node", "c", "enlarge", ""],
    ["type", "d", "x", "y"],
    ["mode", "e", "runs", "bypassed"],
    ["wire", "a.out → b.in", "", "wired"],
    ["name", "g", "f", "g"],
  ]);
});

test("pictures of the same node stand beside each other", () => {
  const made = (...nodes: string[]) => nodes.map((node) => ({ node })) as Run["pictures"];
  expect(firstPair(made("picture", "save"), made("save", "picture"))).toEqual([1, 0]);
  expect(firstPair(made("one", "two"), made("three"))).toEqual([1, 0]);
  expect(firstPair(made(), made("three"))).toEqual([-1, 0]);
});
