import { expect, test } from "vitest";
import { duration } from "./time";

test.each([
  [0.0002, "< 1 ms"],
  [0.0123, "12 ms"],
  [0.4249, "0.42 s"],
  [0.996, "1.0 s"],
  [9.96, "10 s"],
  [59.6, "1 min"],
  [65, "1 min 5 s"],
  [7385, "2 h 3 min"],
  [NaN, ""],
])("%d seconds are %s", (seconds, said) => {
  expect(duration(seconds)).toBe(said);
});
