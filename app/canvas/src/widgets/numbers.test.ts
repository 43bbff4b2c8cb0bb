import { describe, expect, test } from "vitest";
import {
  atShare,
  clamp,
  decimals,
  fits,
  format,
  limits,
  nudge,
  parse,
  randomSeed,
  range,
  scrubbed,
  shareOf,
} from "./numbers";

const steps = limits({ type: "integer", minimum: 1, maximum: 1000, default: 25 });
const share = limits({ type: "number", minimum: 0, maximum: 1, default: 0.25 });
const rate = limits({ type: "number", exclusiveMinimum: 0, maximum: 0.1, default: 0.002 });
const seed = limits({ type: "integer", minimum: 0, maximum: 2 ** 53 - 1 });
const free = limits({ type: "number" });

describe("limits", () => {
  test("steps follow the range, and the default where it is finer", () => {
    expect([steps.step, share.step, rate.step, free.step]).toEqual([1, 0.01, 0.0001, 0.1]);
    expect(limits({ type: "number", minimum: 1, maximum: 100, default: 7.5 }).step).toBe(0.1);
    expect(limits({ type: "integer", multipleOf: 8 }).step).toBe(8);
  });

  test("only narrow ranges get a slider", () => {
    expect(share.slider).toBe(true);
    expect(limits({ type: "integer", minimum: 0, maximum: 24 }).slider).toBe(true);
    expect([steps.slider, rate.slider, seed.slider, free.slider]).toEqual([false, false, false, false]);
  });

  test("open limits of whole numbers are the next whole number, and none is larger than JSON keeps", () => {
    const open = limits({ type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 10 });
    expect([open.least, open.most]).toEqual([1, 9]);
    expect(limits({ type: "integer", exclusiveMaximum: 2 ** 63 }).most).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("are told in words", () => {
    expect(range(steps)).toBe("from 1 to 1000");
    expect(range(rate)).toBe("above 0 to 0.1");
    expect(range(free)).toBe("");
    expect(range(limits({ type: "number", maximum: 3 }))).toBe("up to 3");
  });
});

describe("arrow keys", () => {
  test("leave no float noise", () => {
    expect(nudge(0.1, 2, limits({ type: "number", multipleOf: 0.1 }))).toBe(0.3);
    let value = 0;
    for (let i = 0; i < 70; i++) value = nudge(value, 1, share);
    expect(value).toBe(0.7);
  });

  test("go coarse and fine, but whole numbers stay whole", () => {
    expect(nudge(0.25, 1, share, 10)).toBe(0.35);
    expect(nudge(0.25, 1, share, 0.1)).toBe(0.251);
    expect(nudge(25, 1, steps, 10)).toBe(35);
    expect(nudge(25, 1, steps, 0.1)).toBe(26);
    expect(nudge(512, -1, limits({ type: "integer", multipleOf: 8 }), 0.1)).toBe(504);
  });

  test("keep digits typed beyond the step", () => {
    expect(nudge(0.12345, 1, share)).toBe(0.13345);
  });

  test("stop at the limits", () => {
    expect(nudge(0.995, 1, share)).toBe(1);
    expect(nudge(1, -5, steps)).toBe(1);
    expect(nudge(0.0001, -1, rate)).toBe(0.0001);
  });
});

describe("dragging", () => {
  test("over its own width a slider goes through its whole range", () => {
    expect(scrubbed(0, 100, 100, share)).toBe(1);
    expect(scrubbed(0.5, 10, 100, share)).toBe(0.6);
    expect(scrubbed(0.5, 10, 100, share, 0.1)).toBe(0.51);
  });

  test("without a slider counts steps", () => {
    expect(scrubbed(25, 41, 100, steps)).toBe(35);
    expect(scrubbed(25, -3, 100, steps)).toBe(25);
    expect(scrubbed(0.002, 8, 100, rate)).toBe(0.0022);
  });

  test("position and value belong together", () => {
    expect(atShare(0.333, share)).toBe(0.33);
    expect(shareOf(0.33, share)).toBeCloseTo(0.33);
    expect(shareOf(7, share)).toBe(1);
  });
});

describe("typed values", () => {
  test("are kept as they are", () => {
    expect(parse("0.123456789", share)).toEqual({ value: 0.123456789, hint: "" });
    expect(parse("9007199254740991", seed)).toEqual({ value: 9007199254740991, hint: "" });
    expect(parse(" 10 000 ", seed).value).toBe(10000);
    expect(parse("1e-5", rate).value).toBe(0.00001);
    expect(parse("\u22123", free).value).toBe(-3);
  });

  test("are brought within the limits, which is told", () => {
    expect(parse("2000", steps)).toEqual({ value: 1000, hint: "Brought within the limits: from 1 to 1000." });
    expect(parse("99999999999999999999", seed).value).toBe(9007199254740991);
    expect(parse("0", rate).value).toBe(0.0001);
    expect(parse("12.4", steps)).toEqual({ value: 12, hint: "Whole numbers only." });
    expect(parse("510", limits({ type: "integer", multipleOf: 8 }))).toEqual({
      value: 512,
      hint: "Multiples of 8 only.",
    });
  });

  test("that are no numbers are refused with a hint", () => {
    expect(parse("0,5", share)).toEqual({ value: null, hint: "Decimals follow a point: 0.5" });
    for (const text of ["", "abc", "1.2.3", "Infinity", "NaN", "0x10", "--1"])
      expect(parse(text, free).value).toBeNull();
    expect(parse("1e999", free)).toEqual({ value: null, hint: "This number is too large." });
  });
});

test("numbers are written with every digit that counts and no other", () => {
  expect([0.1, 1e-7, 2 ** 53 - 1, -0, 512].map(format)).toEqual(["0.1", "1e-7", "9007199254740991", "0", "512"]);
  expect([1, 0.25, 1e-7, 1.5e-7].map(decimals)).toEqual([0, 2, 7, 8]);
});

test("clamping an open limit stays inside", () => {
  expect(clamp(0, rate)).toBeGreaterThan(0);
  expect(fits(0, rate)).toBe(false);
  expect(fits(0.05, rate)).toBe(true);
});

test("random seeds stay within the limits and short", () => {
  expect(randomSeed(seed, () => 0.999999999999)).toBeLessThan(2 ** 32);
  expect(randomSeed(limits({ type: "integer", minimum: 5, maximum: 6 }), () => 0.99)).toBe(6);
});
