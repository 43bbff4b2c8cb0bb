import { expect, test } from "vitest";
import type { Schema } from "../lib/types";
import { choose } from "./choose";
import { showable, words } from "./field";

const chosen = (schema: Schema) =>
  choose({ name: "s", kind: "", required: true, default: null, description: "", schema, reads: null, writes: false });

test("names are told in words", () => {
  expect([words("at_least"), words("clip_skip"), words("")]).toEqual(["At least", "Clip skip", ""]);
});

test("values of another type than the widget's are not hidden by it", () => {
  const steps = chosen({ type: "integer" });
  expect([showable(3, steps), showable("3", steps), showable(undefined, steps)]).toEqual([true, false, true]);
  expect(showable(1, chosen({ type: "string" }))).toBe(false);
  expect(showable("true", chosen({ type: "boolean" }))).toBe(false);
  expect(showable("not one of them", chosen({ enum: ["a"] }))).toBe(true);
});

test("nor are items of a list", () => {
  const pairs = chosen({
    type: "array",
    items: { type: "array", prefixItems: [{ type: "integer" }, { type: "string" }] },
  });
  expect(showable([[1, "a"]], pairs)).toBe(true);
  expect(showable([[1]], pairs)).toBe(false);
  expect(showable([1], pairs)).toBe(false);
  expect(showable([null], chosen({ type: "array", items: { type: "integer" } }))).toBe(false);
});
