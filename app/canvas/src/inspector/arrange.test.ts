import { expect, test } from "vitest";
import { arranged } from "./arrange";

const boxes = new Map([
  ["a", { x: 0, y: 0, width: 100, height: 50 }],
  ["b", { x: 150, y: 40, width: 50, height: 10 }],
  ["c", { x: 400, y: 100, width: 100, height: 100 }],
]);

test("edges and middles come to lie in one line", () => {
  expect([...arranged(boxes, "left").values()].map(([x]) => x)).toEqual([0, 0, 0]);
  expect([...arranged(boxes, "centre").values()].map(([x]) => x)).toEqual([200, 225, 200]);
  expect([...arranged(boxes, "middle").values()].map(([, y]) => y)).toEqual([75, 95, 50]);
});

test("gaps become alike, and nothing overlaps", () => {
  expect([...arranged(boxes, "across")]).toEqual([
    ["a", [0, 0]],
    ["b", [225, 40]],
    ["c", [400, 100]],
  ]);
  const heap = new Map([...boxes].map(([id, box]) => [id, { ...box, y: 0 }]));
  const places = arranged(heap, "down");
  expect(["a", "b", "c"].map((id) => places.get(id)![1])).toEqual([0, 66, 92]);
});
