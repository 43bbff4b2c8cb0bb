import { expect, test } from "vitest";
import { example } from "../testing/example";
import { insert, part, read } from "./clipboard";

const none = { groups: [], notes: [], reroutes: [] };

test("a part has the wires inside it, and names those that come in", () => {
  const copied = part(example(), ["prompt", "sample"], none);
  expect(Object.keys(copied.nodes)).toEqual(["prompt", "sample"]);
  expect(copied.wires).toEqual([["prompt.conditioning", "sample.positive"]]);
  expect(copied.incoming).toEqual([
    ["model.model", "prompt.model"],
    ["model.model", "sample.model"],
  ]);
  expect(copied.reroutes).toBeUndefined();
});

test("what is pasted gets names and places of its own", () => {
  const text = JSON.stringify(part(example(), ["prompt", "sample"], none));
  const { content, nodes } = insert(example(), read(text)!, [1000, 500]);
  expect(nodes).toEqual(["prompt_2", "sample_2"]);
  expect(content.nodes.prompt_2).toEqual({ type: "encode_prompt", settings: { text: "a cat" }, at: [1000, 500] });
  expect(content.nodes.sample_2!.at).toEqual([1300, 500]);
  expect(content.wires.slice(5)).toEqual([["prompt_2.conditioning", "sample_2.positive"]]);
});

test("wires from outside come along when asked for, where their nodes are", () => {
  const copied = part(example(), ["sample"], none);
  const { content } = insert(example(), copied, [0, 0], true);
  expect(content.wires.slice(5)).toEqual([
    ["model.model", "sample_2.model"],
    ["prompt.conditioning", "sample_2.positive"],
  ]);
  expect(insert({ format: 1, nodes: {}, wires: [] }, copied, [0, 0], true).content.wires).toEqual([]);
});

test("groups, notes and bends come along", () => {
  const full = {
    ...example(),
    groups: [{ title: "G", at: [0, -50] as [number, number], size: [500, 300] as [number, number] }],
    notes: [{ text: "N", at: [0, -100] as [number, number], size: [200, 40] as [number, number] }],
  };
  const copied = part(full, ["model", "sample"], { groups: [0], notes: [0], reroutes: [] });
  const { content, marked } = insert(full, copied, [0, 900]);
  expect(content.notes![1]).toEqual({ text: "N", at: [0, 900], size: [200, 40] });
  expect(content.groups![1]!.at).toEqual([0, 950]);
  expect(content.reroutes![1]).toEqual({ at: [450, 1080], wires: [["model_2.model", "sample_2.model"]] });
  expect(marked).toEqual({ groups: [1], notes: [1], reroutes: [1] });
});

test("a whole file can be pasted, and what is none is not taken for one", () => {
  expect(Object.keys(read(JSON.stringify(example()))!.nodes)).toHaveLength(5);
  for (const text of ["", "words", "{}", "[1]", '{"nodes": []}', '{"nodes": {"a": {"no": "type"}}}']) expect(read(text)).toBeNull();
});
