import { expect, test } from "vitest";
import { example, kinds } from "../testing/example";
import { addNode, addWire } from "./content";
import { leadsTo, openInputs, refusal, replacedBy } from "./rule";
import type { Wire } from "./types";

const content = addNode(addNode(example(), "guide", { type: "cfg" }), "grid", { type: "image_grid" });
const why = (...wire: Wire) => refusal(content, kinds, wire);

test("a wire that fits is not refused", () => {
  expect(why("guide.guidance", "sample.guidance")).toBeNull();
  expect(why("picture.image", "grid.images")).toBeNull();
});

test("the reason is a sentence with both ends and their types", () => {
  expect(why("guide.guidance", "sample.positive")).toBe("guide.guidance gives Cfg; sample.positive takes Conditioning.");
  expect(why("model.model", "grid.images")).toBe("model.model gives Model; grid.images takes Image or Mask.");
});

test("no wire goes in a circle, however long", () => {
  const looped = addNode(content, "again", { type: "denoise" });
  expect(why("sample.latent", "sample.latent")).toBe("sample cannot be wired to itself.");
  const further = addWire(looped, ["sample.latent", "again.latent"]);
  expect(refusal(further, kinds, ["again.latent", "sample.latent"])).toBe("sample already leads to again; wires cannot go in a circle.");
  expect(leadsTo(further, "model", "again")).toBe(true);
  expect(leadsTo(further, "again", "model")).toBe(false);
});

test("what is not known here takes and gives nothing", () => {
  expect(why("odd.one.image", "grid.images")).toMatch(/^What odd\.one\.image gives is not known here/);
  expect(why("picture.image", "odd.one.image")).toMatch(/^What odd\.one\.image takes is not known here/);
});

test("an input takes one wire, unless it takes many", () => {
  expect(replacedBy(content, kinds, ["other.model", "sample.model"])).toEqual([["model.model", "sample.model"]]);
  expect(replacedBy(content, kinds, ["model.model", "sample.model"])).toEqual([]);
  const full = addWire(content, ["picture.image", "grid.images"]);
  expect(replacedBy(full, kinds, ["other.image", "grid.images"])).toEqual([]);
});

test("dropped on a node, a wire finds the free inputs first", () => {
  const two = addNode(content, "second", { type: "denoise" });
  const names = (node: string) => openInputs(two, kinds, { node: "second", port: "latent" }, node).map((port) => port.name);
  expect(names("picture")).toEqual(["latent"]);
  expect(names("sample")).toEqual(["latent"]);
  expect(names("second")).toEqual([]);
  expect(names("model")).toEqual([]);
});
