import { expect, test } from "vitest";
import type { Schema } from "../lib/types";
import { choose } from "./choose";
import { divided, isOneLine, joined } from "./listText";

const item = (schema: Schema) =>
  choose({ name: "s", kind: "", required: true, default: null, description: "", schema, reads: null, writes: false });
const whole = item({ type: "integer", minimum: 0, maximum: 999 });
const text = item({ type: "string" });

test("numbers are divided by whatever stands between them", () => {
  expect(divided("999, 500;250 0\n1", whole)).toEqual({ values: [999, 500, 250, 0, 1], hint: "" });
  expect(divided("", whole).values).toEqual([]);
});

test("what cannot be read is told", () => {
  expect(divided("1, x", whole).hint).toBe("x: This is not a number.");
});

test.each([[["a", "b c"]], [["a, b", "c"]], [['say "so"', ""]], [[" lead", "two\nlines"]], [["back\\slash"]]])(
  "texts %j come back as they went",
  (values) => {
    expect(divided(joined(values), text)).toEqual({ values, hint: "" });
  },
);

test("only plain items fit on a line", () => {
  expect(isOneLine(whole)).toBe(true);
  expect(isOneLine(item({ type: "boolean" }))).toBe(false);
  expect(isOneLine(item({ anyOf: [{ type: "number" }, { type: "null" }] }))).toBe(false);
});
