import { describe, expect, test } from "vitest";
import type { Schema, SettingKind } from "../lib/types";
import { choose, firstValue, same, shown } from "./choose";

function setting(schema: Schema, reads: string | null = null): SettingKind {
  return {
    name: "s",
    kind: "",
    required: false,
    default: schema.default ?? null,
    description: "",
    schema,
    reads,
    writes: false,
  };
}

const kindOf = (schema: Schema, reads: string | null = null) => choose(setting(schema, reads)).kind;

describe("the widget of a setting", () => {
  test.each<[string, Schema, string | null]>([
    ["number", { type: "integer", minimum: 0 }, null],
    ["number", { type: "number" }, null],
    ["seed", { type: "integer", format: "seed" }, null],
    ["switch", { type: "boolean" }, null],
    ["choice", { type: "string", enum: ["a", "b"] }, null],
    ["choice", { type: "integer", enum: [256, 512] }, null],
    ["choice", { const: "only", type: "string" }, null],
    ["line", { type: "string", maxLength: 5 }, null],
    ["text", { type: "string", format: "textarea" }, null],
    ["input", { type: "string" }, "input"],
    ["model", { anyOf: [{ type: "string" }, { type: "null" }] }, "models"],
    ["list", { type: "array", items: { type: "integer" } }, null],
    ["list", { type: "array", items: { type: "string" } }, "input"],
    ["json", { type: "array", items: { type: "array", items: { type: "number" } } }, null],
    ["json", { type: "object" }, null],
    ["json", {}, null],
    ["json", { anyOf: [{ type: "integer" }, { type: "string" }] }, null],
  ])("is %s for %j", (kind, schema, reads) => {
    expect(kindOf(schema, reads)).toBe(kind);
  });

  test("knows that it may be off", () => {
    const eta = choose(
      setting({ anyOf: [{ type: "number", minimum: 0, maximum: 1 }, { type: "null" }], default: null }),
    );
    expect(eta).toMatchObject({ kind: "number", nullable: true, schema: { minimum: 0, maximum: 1 } });
    expect(choose(setting({ type: "number" })).nullable).toBe(false);
    expect(kindOf({ anyOf: [{ type: "integer" }, { type: "null" }], format: "seed" })).toBe("seed");
  });

  test("follows references and joins choices", () => {
    const schema = { $ref: "#/$defs/Mode", default: "a", $defs: { Mode: { type: "string", enum: ["a", "b"] } } };
    expect(choose(setting(schema))).toMatchObject({ kind: "choice", choices: ["a", "b"] });
    expect(choose(setting({ anyOf: [{ const: "auto" }, { enum: [1, 2] }] })).choices).toEqual(["auto", 1, 2]);
  });

  test("draws pairs of numbers as a curve where they are one", () => {
    const numbers = { type: "array", prefixItems: [{ type: "number" }, { type: "number" }] };
    const words = { type: "array", prefixItems: [{ type: "number" }, { type: "string" }] };
    expect(kindOf({ type: "array", format: "curve", items: numbers })).toBe("curve");
    expect(kindOf({ type: "array", items: numbers })).toBe("list");
    expect(kindOf({ type: "array", format: "curve", items: words })).toBe("list");
    expect(kindOf({ type: "array", format: "curve", items: { type: "number" } })).toBe("list");
  });

  test("takes pairs apart", () => {
    const pair = { type: "array", prefixItems: [{ type: "integer" }, { type: "string" }], minItems: 2, maxItems: 2 };
    const one = choose(setting(pair));
    expect(one.fixed).toBe(true);
    expect(one.items.map((item) => item.kind)).toEqual(["number", "line"]);
    const many = choose(setting({ type: "array", items: pair }));
    expect(many).toMatchObject({ kind: "list", fixed: false });
    expect(firstValue(many.items[0]!)).toEqual([0, ""]);
  });
});

test("a value to begin with fits the schema", () => {
  expect(firstValue(choose(setting({ type: "integer", minimum: 3 })))).toBe(3);
  expect(
    firstValue(choose(setting({ anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }], default: null }))),
  ).toBeGreaterThan(0);
  expect(firstValue(choose(setting({ enum: ["x"] })))).toBe("x");
  expect(firstValue(choose(setting({ type: "boolean" })))).toBe(false);
});

test("values are compared and named as JSON", () => {
  expect(same([1, 2], [1, 2])).toBe(true);
  expect(same(undefined, null)).toBe(false);
  expect([shown(null), shown(""), shown("a"), shown([1])]).toEqual(["off", "empty", "a", "[1]"]);
});
