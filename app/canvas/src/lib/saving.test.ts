import { beforeEach, expect, test, vi } from "vitest";
import { Api, ApiError, type Expected, problem } from "./api";
import { Kinds } from "./catalog";
import { WorkflowDocument } from "./document.svelte";
import type { RunsState } from "./runs.svelte";
import { Saving } from "./saving.svelte";
import { Stage } from "./stage.svelte";
import type { Content, OpenedFile } from "./types";
import { Ui } from "./ui.svelte";

const content = (steps: number): Content => ({
  format: 1,
  nodes: { a: { type: "t", settings: { steps } } },
  wires: [],
});
const opened = (steps: number, etag: string): OpenedFile => ({
  ...{ path: "workflows/a.json", content: content(steps), etag, writable: true, changes: [], problems: [] },
});

let disk: OpenedFile;
let document: WorkflowDocument;
let saving: Saving;
let saves: Expected[];

beforeEach(() => {
  vi.stubGlobal("location", new URL("http://here/"));
  vi.stubGlobal("history", { state: null, replaceState() {} });
  vi.stubGlobal("document", { activeElement: null });
  vi.stubGlobal("HTMLInputElement", class {});
  vi.stubGlobal("HTMLTextAreaElement", class {});
  disk = opened(1, "one");
  saves = [];
  const api = new Api();
  api.file = async () => structuredClone(disk);
  api.save = async (path, saved, expected) => {
    saves.push(expected);
    if (expected === "absent" || expected.etag !== disk.etag) throw new ApiError([problem("Changed.")], 412, disk.etag);
    disk = { ...disk, content: saved, etag: `after ${disk.etag}` };
    return { path, etag: disk.etag! };
  };
  api.removeDraft = async () => null;
  document = new WorkflowDocument(new Kinds({ nodes: [], types: {}, problems: [] }));
  document.open(structuredClone(disk));
  const tab = { draft: "d", kept: false };
  saving = new Saving(api, document, { tab, announce() {} } as unknown as RunsState, new Stage(new Ui()));
  return () => vi.unstubAllGlobals();
});

test("saving names the state that was opened, then the state that was saved", async () => {
  document.setSetting("a", "steps", 2);
  expect(saving.unsaved).toBe(true);
  expect(await saving.save()).toBe(true);
  document.setSetting("a", "steps", 3);
  expect(await saving.save()).toBe(true);
  expect(saves).toEqual([{ etag: "one" }, { etag: "after one" }]);
  expect(saving.unsaved).toBe(false);
});

test("another's save is not overwritten unless that is asked for", async () => {
  document.setSetting("a", "steps", 2);
  disk = opened(9, "theirs");
  expect(await saving.save()).toBe(false);
  expect(disk.content).toEqual(content(9));
  expect(saving.conflict).toEqual({ path: "workflows/a.json", etag: "theirs" });
  expect(saving.stage.dialogs.map(({ kind }) => kind)).toEqual(["conflict"]);
  expect(saving.unsaved).toBe(true);

  expect(await saving.overwrite()).toBe(true);
  expect(disk.content).toEqual(content(2));
  expect(saving.conflict).toBeNull();
});

test("theirs is taken as one step that undo takes back", async () => {
  document.setSetting("a", "steps", 2);
  disk = opened(9, "theirs");
  await saving.save();
  expect(await saving.takeTheirs()).toBe(true);
  expect(document.content).toEqual(content(9));
  expect(saving.unsaved).toBe(false);
  document.undo();
  expect(document.content).toEqual(content(2));
  expect(saving.unsaved).toBe(true);
});

test("what is changed while a save is on its way stays unsaved", async () => {
  document.setSetting("a", "steps", 2);
  const saved = saving.save();
  document.setSetting("a", "other", 3);
  expect(await saved).toBe(true);
  expect(document.etag).toBe("after one");
  expect(saving.unsaved).toBe(true);
});

test("a name that is taken is told, and replaced only when asked", async () => {
  expect(await saving.saveTo("workflows/a.json")).toBe("taken");
  expect(disk.etag).toBe("one");
  expect(await saving.saveTo("workflows/a.json", true)).toBe("saved");
  expect(disk.etag).toBe("after one");
});
