import { describe, expect, test } from "vitest";
import { nearest, path, points, readable, scale, span, thinned, tickLabels, ticks, widened } from "./figure";

describe("ticks", () => {
  test("are round and lie within the span", () => {
    expect(ticks({ least: 0, most: 1 }, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks({ least: 3, most: 47 }, 5)).toEqual([10, 20, 30, 40]);
    expect(ticks({ least: -0.3, most: 0.3 }, 6)).toEqual([-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]);
    expect(ticks({ least: 1e-5, most: 9e-5 }, 4)).toEqual([2e-5, 4e-5, 6e-5, 8e-5]);
  });

  test("are few, whatever the span", () => {
    for (const most of [1e-9, 0.7, 13, 999, 1e12]) {
      const found = ticks({ least: 0, most }, 5);
      expect(found.length).toBeGreaterThanOrEqual(3);
      expect(found.length).toBeLessThanOrEqual(7);
    }
    expect(ticks({ least: 2, most: 2 }, 5)).toEqual([2]);
  });

  test("are labelled alike", () => {
    expect(tickLabels([0, 0.5, 1])).toEqual(["0.0", "0.5", "1.0"]);
    expect(tickLabels([0, 1e6, 2e6])).toEqual(["0", "1e6", "2e6"]);
    expect(tickLabels([0, 0.0002])).toEqual(["0", "2e-4"]);
  });
});

test("a span leaves out what is no number, and is never empty", () => {
  expect(span([3, NaN, -1, Infinity])).toEqual({ least: -1, most: 3 });
  expect(span([5])).toEqual({ least: 4.5, most: 5.5 });
  expect(span([0, 0])).toEqual({ least: -1, most: 1 });
  expect(span([NaN])).toBeNull();
  expect(widened({ least: 0, most: 10 })).toEqual({ least: 0, most: 10.5 });
});

test("values are scaled to pixels", () => {
  const down = scale({ least: 0, most: 10 }, 100, 0);
  expect([down(0), down(5), down(10)]).toEqual([100, 50, 0]);
  expect(
    path([
      { x: 0, y: 1 },
      { x: 2.25, y: 3 },
    ]),
  ).toBe("M0.0 1.0L2.3 3.0");
});

test("points that are no numbers are left out", () => {
  expect(points({ name: "", points: false, x: [1, 2, NaN, 4], y: [1, null as unknown as number, 3] })).toEqual([
    { x: 1, y: 1 },
  ]);
});

test("thinning keeps peaks and order", () => {
  const all = Array.from({ length: 10_000 }, (_, x) => ({ x, y: x === 5000 ? 100 : Math.sin(x) }));
  const kept = thinned(all);
  expect(kept.length).toBeLessThanOrEqual(800);
  expect(Math.max(...kept.map((point) => point.y))).toBe(100);
  expect(kept.every((point, i) => i === 0 || point.x > kept[i - 1]!.x)).toBe(true);
  expect(thinned(all.slice(0, 5))).toEqual(all.slice(0, 5));
});

test("values are read off with four digits", () => {
  expect([0.123456, 12, 1234567.8].map(readable)).toEqual(["0.1235", "12", "1235000"]);
  expect(
    nearest(
      [
        { x: 0, y: 0 },
        { x: 10, y: 0 },
      ],
      6,
    ),
  ).toBe(1);
  expect(nearest([], 6)).toBe(-1);
});
