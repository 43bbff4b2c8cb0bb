import { expect, test } from "vitest";
import { example } from "../testing/example";
import * as edits from "./content";

test("a new name is readable and free", () => {
  const taken = new Set(["decode", "decode_2", "blur_7"]);
  const has = (name: string) => taken.has(name);
  expect(edits.freshId("sample", has)).toBe("sample");
  expect(edits.freshId("decode", has)).toBe("decode_3");
  expect(edits.freshId("blur_7", has)).toBe("blur_2");
});

test("an edit shares what it does not change", () => {
  const before = example();
  const after = edits.setSetting(before, "sample", "seed", 4);
  expect(before.nodes.sample!.settings).toEqual({ seed: 3 });
  expect(after.nodes.sample!.settings).toEqual({ seed: 4 });
  expect(after.nodes.model).toBe(before.nodes.model);
  expect(after.wires).toBe(before.wires);
  expect(after.strange).toBe(before.strange);
  expect(Object.keys(after.nodes)).toEqual(Object.keys(before.nodes));
});

test("what is set to nothing leaves no key behind", () => {
  const muted = edits.setMode(example(), ["model", "nobody"], "mute");
  expect(muted.nodes.model).toEqual({ type: "load_model", at: [0, 0], mode: "mute" });
  expect(edits.setMode(muted, ["model"], null).nodes).toEqual(example().nodes);
});

test("seeds that stay fixed are not written", () => {
  const moving = edits.setSeedRule(example(), "sample", "seed", "random");
  expect(moving.nodes.sample!.seeds).toEqual({ seed: "random" });
  expect(edits.setSeedRule(moving, "sample", "seed", "fixed").nodes.sample).toEqual(example().nodes.sample);
});

test("a node goes with its wires, their bends and its place in the form", () => {
  const app = { inputs: [{ setting: "sample.seed" }, { setting: "prompt.text" }], outputs: [{ node: "sample" }] };
  const left = edits.removeNodes({ ...example(), app }, ["sample"]);
  expect(Object.keys(left.nodes)).toEqual(["model", "prompt", "picture", "odd.one"]);
  expect(left.wires).toEqual([
    ["model.model", "prompt.model"],
    ["picture.image", "odd.one.image"],
  ]);
  expect(left.reroutes).toEqual([]);
  expect(left.app).toEqual({ inputs: [{ setting: "prompt.text" }], outputs: [] });
});

test("a name with dots is not taken for another node's", () => {
  expect(edits.removeNodes(example(), ["odd"]).nodes["odd.one"]).toBeDefined();
  expect(edits.removeNodes(example(), ["odd.one"]).wires).toHaveLength(4);
});

test("a wire takes the place of others and is never there twice", () => {
  const wire: [string, string] = ["model.model", "sample.model"];
  const again = edits.addWire(example(), wire);
  expect(again.wires).toHaveLength(5);
  expect(again.wires.at(-1)).toEqual(wire);
  expect(again.reroutes).toEqual(example().reroutes);
  expect(edits.addWire(example(), ["a.b", "sample.model"], [wire]).wires).not.toContainEqual(wire);
});

test("what is no wire stays in the file", () => {
  const odd = { ...example(), wires: [...example().wires, "nonsense" as unknown as [string, string]] };
  expect(edits.removeWires(odd, [["model.model", "prompt.model"]]).wires).toContain("nonsense");
});

test("things are moved where they are, and only they", () => {
  const moved = edits.move(example(), { nodes: new Map([["model", [5, 6]]]), reroutes: new Map([[0, [7, 8]]]) });
  expect(moved.nodes.model!.at).toEqual([5, 6]);
  expect(moved.nodes.prompt).toEqual(example().nodes.prompt);
  expect(moved.reroutes![0]!.at).toEqual([7, 8]);
});
