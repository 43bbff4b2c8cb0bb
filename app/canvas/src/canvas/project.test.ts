import { expect, test } from "vitest";
import { setSetting, withWires } from "../lib/content";
import { example, kinds } from "../testing/example";
import { flowId, itemId, itemOf } from "./ids";
import { flowEdges, flowNodes } from "./project";

test("names of nodes and listed items are told apart, whatever is in them", () => {
  for (const node of ["plain", "with.dot", 'quote"s', "back\\slash", "50%", "%groups.0", "%22"]) {
    expect(flowId(node)).not.toMatch(/["\\]/);
    expect(itemOf(flowId(node))).toEqual({ list: "nodes", node });
  }
  expect(itemOf(itemId("notes", 12))).toEqual({ list: "notes", index: 12 });
});

test("what did not change is not drawn anew", () => {
  const before = example();
  const nodes = flowNodes(before, kinds, []);
  const edges = flowEdges(before, kinds, []);
  const after = setSetting(before, "sample", "seed", 4);
  const redrawn = flowNodes(after, kinds, nodes);
  expect(redrawn.filter((node, index) => node !== nodes[index]).map((node) => node.id)).toEqual(["sample"]);
  expect(flowEdges(after, kinds, edges)).toEqual(edges);
  expect(flowEdges(after, kinds, edges).every((edge, index) => edge === edges[index])).toBe(true);
});

test("measures and selection outlive a change", () => {
  const nodes = flowNodes(example(), kinds, []).map((node) => ({ ...node, selected: true, measured: { width: 9, height: 8 } }));
  const sample = flowNodes(setSetting(example(), "sample", "seed", 4), kinds, nodes).find((node) => node.id === "sample");
  expect(sample).toMatchObject({ selected: true, measured: { width: 9, height: 8 } });
});

test("a wire passes through its bends and has the colour of what it carries", () => {
  const edges = flowEdges(example(), kinds, []);
  const bent = edges.find((edge) => edge.targetHandle === "model" && edge.target === "sample")!;
  const straight = edges.find((edge) => edge.target === "prompt")!;
  expect(bent.data!.bends).toEqual(["%reroutes.0"]);
  expect(straight.data!.bends).toEqual([]);
  expect(bent.data!.colour).toBe(straight.data!.colour);
});

test("a node only wires speak of is shown, and a wire twice in the file once", () => {
  const odd = withWires(example(), [["ghost.image", "picture.latent"], ["ghost.image", "picture.latent"]]);
  const ghost = flowNodes(odd, kinds, []).find((node) => node.id === "ghost");
  expect(ghost?.data.shown).toEqual({ kind: "node", node: "ghost", entry: null });
  expect(ghost!.position.x).toBeLessThan(900);
  expect(flowEdges(odd, kinds, [])).toHaveLength(1);
});

test("nodes without a place get one, apart from each other", () => {
  const bare = { ...example(), nodes: { a: { type: "load_model" }, b: { type: "decode" }, c: { type: "decode" } }, wires: [] };
  const places = flowNodes(bare, kinds, []).filter((node) => node.type === "operation").map(({ position }) => `${position.x},${position.y}`);
  expect(new Set(places).size).toBe(3);
});
