import { describe, expect, test } from "vitest";
import { added, fineness, gap, height, heightAt, moved, type Pair, pairs } from "./curve";

const WIDE = { least: 0, most: 1 };
const HIGH = { least: 0, most: 10 };
const OPEN = { least: -100, most: 100 };
const CURVE: Pair[] = [
  [0, 1],
  [0.3, 7.5],
  [1, 7.5],
];

describe("the points of a curve", () => {
  test("are read from left to right, whatever else stands there", () => {
    expect(pairs([[1, 2], [0, 3], "x", [1]] as never)).toEqual([
      [0, 3],
      [1, 2],
    ]);
    expect(pairs(undefined)).toEqual([]);
  });

  test("stay between their neighbours and in the frame", () => {
    expect(moved(CURVE, 1, [0.5, 4], WIDE, HIGH)[1]).toEqual([0.5, 4]);
    expect(moved(CURVE, 1, [2, 40], WIDE, HIGH)[1]).toEqual([0.99, 10]);
    expect(moved(CURVE, 1, [-1, -1], WIDE, HIGH)[1]).toEqual([0.01, 0]);
    expect(moved(CURVE, 0, [-1, 3.1415], WIDE, HIGH)[0]).toEqual([0, 3.1]);
    expect(CURVE[1]).toEqual([0.3, 7.5]);
  });

  test("are added where none is", () => {
    expect(added(CURVE, [0.6123, 2], WIDE, HIGH)).toEqual({ points: CURVE.toSpliced(2, 0, [0.61, 2]), at: 2 });
    expect(added(CURVE, [0.3, 2], WIDE, HIGH)).toBeNull();
    expect(added([], [0.5, 2], WIDE, HIGH)).toEqual({ points: [[0.5, 2]], at: 0 });
  });

  test("make straight lines, level at both ends", () => {
    expect([-1, 0, 0.15, 0.3, 0.7, 2].map((x) => heightAt(CURVE, x))).toEqual([1, 1, 4.25, 7.5, 7.5, 7.5]);
    expect(heightAt([], 0.5)).toBe(0);
  });

  test("leave a widest gap", () => {
    expect(gap(CURVE, WIDE)).toBeCloseTo(0.65);
    expect(gap([[0.9, 1]], WIDE)).toBeCloseTo(0.45);
    expect(gap([], WIDE)).toBe(0.5);
  });
});

describe("the frame", () => {
  test("shows zero and has room above the points, within the limits", () => {
    const shown = height(CURVE, OPEN);
    expect(shown.least).toBe(0);
    expect(shown.most).toBeGreaterThan(9);
    expect(shown.most).toBeLessThanOrEqual(12);
    expect(height(CURVE, { least: 1, most: 8 })).toEqual({ least: 1, most: 8 });
    expect(height([[0, -2]], OPEN).least).toBeLessThan(-2);
    expect(height([], OPEN).most).toBeGreaterThan(0);
    expect(height([[0, 0]], { least: 0, most: 0 }).most).toBe(0);
  });

  test("is as fine as it lets see", () => {
    expect(fineness(WIDE)).toBe(0.01);
    expect(fineness(HIGH)).toBe(0.1);
    expect(fineness({ least: 0, most: 12 })).toBe(0.1);
  });
});
