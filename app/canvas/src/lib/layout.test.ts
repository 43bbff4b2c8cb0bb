import { expect, test } from "vitest";
import { example } from "../testing/example";
import { alongFlow } from "./alongFlow";
import { type Box, inColumns, inLine, isWithin, nearest } from "./layout";

const boxes = new Map<string, Box>(
  ["model", "prompt", "sample", "picture"].map((id, index) => [id, { x: 100 - index * 7, y: index * 3, width: 200, height: 100 + index * 20 }]),
);

test("data flows from left to right, nothing overlaps, and the corner stays", () => {
  const places = alongFlow(example(), boxes);
  const at = (id: string) => places.get(id)!;
  expect(at("model")[0] + 200).toBeLessThan(at("prompt")[0]);
  expect(at("prompt")[0] + 200).toBeLessThan(at("sample")[0]);
  expect(at("sample")[0] + 200).toBeLessThan(at("picture")[0]);
  expect(Math.min(...[...places.values()].map(([x]) => x))).toBe(79);
  expect(Math.min(...[...places.values()].map(([, y]) => y))).toBe(0);
});

test("nodes of one step stand above each other", () => {
  const side = { ...example(), wires: [["model.model", "prompt.model"], ["model.model", "sample.model"]] as [string, string][] };
  const places = alongFlow(side, boxes);
  expect(places.get("prompt")![0]).toBe(places.get("sample")![0]);
  expect(Math.abs(places.get("prompt")![1] - places.get("sample")![1])).toBeGreaterThanOrEqual(120);
});

test("edges are brought in line", () => {
  expect([...inLine(boxes, "left").values()].map(([x]) => x)).toEqual([79, 79, 79, 79]);
  expect([...inLine(boxes, "bottom")].map(([id, [, y]]) => y + boxes.get(id)!.height)).toEqual([169, 169, 169, 169]);
});

test("a box lies in another when its middle does", () => {
  const outer = { x: 0, y: 0, width: 100, height: 100 };
  expect(isWithin({ x: 90, y: 90, width: 10, height: 10 }, outer)).toBe(true);
  expect(isWithin({ x: 96, y: 90, width: 10, height: 10 }, outer)).toBe(false);
});

test("nodes of a group stay together", () => {
  const wide = { ...example(), wires: [] };
  const places = alongFlow(wide, boxes, [["model", "picture"]]);
  const rows = [...places].sort(([, a], [, b]) => a[1] - b[1]).map(([id]) => id);
  expect(Math.abs(rows.indexOf("model") - rows.indexOf("picture"))).toBe(1);
});

test("nodes that were never placed stand in columns, also where wires go in a circle", () => {
  const ids = ["model", "prompt", "sample", "picture"];
  const columns = [...inColumns(example(), ids, [10, 20]).values()].map(([x]) => x);
  expect(columns).toEqual([10, 350, 690, 1030]);
  const round = { ...example(), wires: [...example().wires, ["picture.image", "model.model"] as [string, string]] };
  const places = [...inColumns(round, ids, [0, 0]).values()].map(String);
  expect(new Set(places).size).toBe(4);
});

test("the nearest box is the one with the smallest gap", () => {
  const box = (x: number, y: number): Box => ({ x, y, width: 100, height: 50 });
  const others = new Map([
    ["left", box(0, 0)],
    ["right", box(300, 0)],
  ]);
  expect(nearest(box(110, 0), others)).toBe("left");
  expect(nearest(box(195, 0), others)).toBe("right");
  expect(nearest({ x: 60, y: -10, width: 300, height: 80 }, others)).toBe("right");
  expect(nearest(box(0, 0), new Map())).toBeNull();
});
