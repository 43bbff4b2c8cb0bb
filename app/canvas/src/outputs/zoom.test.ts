import { expect, test } from "vitest";
import { columns, fit, moved, zoomed } from "./zoom";

const tiny = { width: 32, height: 32 };
const large = { width: 2000, height: 1000 };
const page = { width: 1000, height: 700 };

test("tiny pictures are enlarged by a whole factor, large ones fitted, others left as they are", () => {
  expect(fit(tiny, page).scale).toBe(21);
  expect(fit(large, page).scale).toBe(0.5);
  expect(fit({ width: 512, height: 512 }, page).scale).toBe(1);
});

test("what is under the pointer stays there", () => {
  const at = { x: 100, y: -50 };
  const before = { scale: 2, x: 10, y: 20 };
  const after = zoomed(before, 1.5, at);
  expect((at.x - after.x) / after.scale).toBeCloseTo((at.x - before.x) / before.scale);
  expect((at.y - after.y) / after.scale).toBeCloseTo((at.y - before.y) / before.scale);
});

test("zoom has limits, and a picture cannot be lost", () => {
  expect(zoomed({ scale: 60, x: 0, y: 0 }, 10).scale).toBe(64);
  const { x } = moved({ scale: 1, x: 0, y: 0 }, 9999, 0, tiny, page);
  expect(x).toBe((32 + 1000) / 2 - 40);
});

test("batches lie in a nearly square grid", () => {
  expect([1, 2, 3, 4, 9, 30].map(columns)).toEqual([1, 2, 2, 2, 3, 4]);
});
