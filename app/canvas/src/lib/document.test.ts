import { beforeEach, expect, test } from "vitest";
import { example, kinds } from "../testing/example";
import { WorkflowDocument } from "./document.svelte";
import type { OpenedFile } from "./types";

let document: WorkflowDocument;
const file = (rest: Partial<OpenedFile> = {}): OpenedFile => ({
  ...{ path: "workflows/a.json", etag: "1", writable: true, changes: [], problems: [], content: example() },
  ...rest,
});

beforeEach(() => {
  document = new WorkflowDocument(kinds);
  document.open(file());
});

test("opened and not touched, it is what the file holds", () => {
  expect(document.content).toEqual(example());
  expect(document.dirty).toBe(false);
  expect(document.canUndo).toBe(false);
});

test("each change is a step back and forth, and back at the start nothing is unsaved", () => {
  document.setSetting("sample", "seed", 4);
  document.setMode(["prompt"], "bypass");
  expect(document.dirty).toBe(true);
  expect(document.undo()).toBe("Bypass");
  document.undo();
  expect(document.content).toEqual(example());
  expect(document.dirty).toBe(false);
  document.redo();
  document.redo();
  expect(document.content.nodes.prompt!.mode).toBe("bypass");
  expect(document.canRedo).toBe(false);
});

test("typing is one step, and choosing something else ends it", () => {
  for (const text of ["a", "a d", "a dog"]) document.setSetting("prompt", "text", text);
  document.select(["sample"]);
  document.setSetting("prompt", "text", "a dog!");
  document.undo();
  expect(document.content.nodes.prompt!.settings!.text).toBe("a dog");
  document.undo();
  expect(document.content.nodes.prompt!.settings!.text).toBe("a cat");
});

test("saving is told apart from what is changed afterwards", () => {
  document.setSetting("sample", "seed", 4);
  document.saved("workflows/b.json", "2");
  expect([document.dirty, document.path, document.etag]).toEqual([false, "workflows/b.json", "2"]);
  document.setSetting("sample", "seed", 5);
  expect(document.dirty).toBe(true);
  document.undo();
  expect([document.content.nodes.sample!.settings!.seed, document.dirty]).toEqual([4, false]);
});

test("what an upgrade changed is unsaved", () => {
  document.open(file({ changes: ["Ports were renamed."] }));
  expect(document.dirty).toBe(true);
});

test("a title as the kind has it is not written", () => {
  document.setTitle("sample", "  My sampler ");
  expect([document.titleOf("sample"), document.content.nodes.sample!.title]).toEqual(["My sampler", "My sampler"]);
  document.setTitle("sample", "Denoise");
  expect(document.content.nodes.sample).toEqual(example().nodes.sample);
  const { revision } = document;
  document.setTitle("sample", "Denoise");
  expect(document.revision).toBe(revision);
});

test("what is gone after undoing is not selected", () => {
  document.change("Add", { ...document.content, nodes: { ...document.content.nodes, extra: { type: "cfg" } } });
  document.select(["extra", "sample"]);
  document.undo();
  expect(document.selection).toEqual(["sample"]);
});

test("a workflow that is only shown is not changed", () => {
  document.openReadonly(file());
  document.setSetting("sample", "seed", 4);
  document.setName("other");
  expect(document.content).toEqual(example());
  document.open(file());
  document.setName("other");
  expect(document.content.name).toBe("other");
});

test("what was wrong with a node is not said of it once it was changed", () => {
  const wrong = (node: string | null) => ({ sentence: `${node}`, node, port: null, setting: null, needed: true });
  const said = () => document.problems.map((problem) => problem.node);
  document.problems = [wrong("sample"), wrong("picture"), wrong("prompt"), wrong(null)];
  document.change("Move", { ...document.content, nodes: { ...document.content.nodes, sample: { ...document.content.nodes.sample!, at: [9, 9] } } });
  expect(said()).toEqual(["sample", "picture", "prompt", null]);
  document.setSetting("sample", "seed", 8);
  expect(said()).toEqual(["picture", "prompt", null]);
  document.change("Cut", { ...document.content, wires: document.content.wires.filter(([from]) => from !== "sample.latent") });
  expect(said()).toEqual(["prompt", null]);
});
