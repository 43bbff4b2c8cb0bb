import { expect, test } from "vitest";
import type { NodeKind, Schema } from "../lib/types";
import { commonSettings } from "./common";

function kind(settings: Record<string, Schema>): NodeKind {
  const about = { title: "", category: "", effect: false, summary: "", doc: "", links: [], inputs: [], outputs: [] };
  return {
    ...{ name: "k", ...about },
    settings: Object.entries(settings).map(([name, schema]) => ({
      ...{
        name,
        kind: "",
        required: false,
        default: schema.default ?? null,
        description: "",
        schema,
        reads: null,
        writes: false,
      },
    })),
  };
}

const resize = kind({ width: { type: "integer", minimum: 0, default: 512 }, mode: { type: "string", enum: ["a"] } });
const empty = kind({
  width: { type: "integer", minimum: 0, default: 0, description: "other" },
  mode: { type: "string", enum: ["b"] },
});
const member = (of: NodeKind | undefined, settings = {}) => ({ entry: { type: "k", settings }, kind: of });
const found = (...members: ReturnType<typeof member>[]) =>
  commonSettings(members).map(({ setting, differs }) => [setting.name, differs]);

test("settings of one name and one meaning are common", () => {
  expect(found(member(resize), member(empty))).toEqual([["width", true]]);
  expect(found(member(resize), member(empty, { width: 512 }))).toEqual([["width", false]]);
  expect(found(member(resize), member(resize))).toEqual([
    ["width", false],
    ["mode", false],
  ]);
});

test("a node of no known kind has nothing in common", () => {
  expect(found(member(undefined), member(resize))).toEqual([]);
  expect(found(member(resize), member(undefined))).toEqual([]);
});
