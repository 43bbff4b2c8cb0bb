import { beforeEach, expect, test, vi } from "vitest";
import type { Api } from "./api";
import { belongs, Drafts, originOf } from "./drafts";
import type { Tab } from "./tab";
import type { Draft } from "./types";

class Memory {
  map = new Map<string, string>();
  full = false;
  get length() {
    return this.map.size;
  }
  key = (at: number) => [...this.map.keys()][at] ?? null;
  getItem = (key: string) => this.map.get(key) ?? null;
  removeItem = (key: string) => void this.map.delete(key);
  setItem = (key: string, value: string) => {
    if (this.full) throw new Error("QuotaExceededError");
    this.map.set(key, value);
  };
}

const work =
  (steps = 1) =>
  () => ({
    content: { format: 1, nodes: { a: { type: "t", settings: { steps } } }, wires: [] },
    ...{ path: null, etag: null, origin: "" },
  });

let store: Memory;
let tab: Tab;
let server: Map<string, Draft>;
let offline: boolean;
let drafts: Drafts;

beforeEach(() => {
  vi.useFakeTimers();
  store = new Memory();
  server = new Map();
  offline = false;
  tab = { draft: "mine", kept: false, draftsInUse: async () => new Set(["mine"]) } as unknown as Tab;
  const reach = () => {
    if (offline) throw new Error("away");
  };
  const api = {
    putDraft: async (draft: Draft) => (reach(), void server.set(draft.id, draft)),
    removeDraft: async (id: string) => (reach(), void server.delete(id)),
    draft: async (id: string) => {
      reach();
      if (!server.has(id)) throw new Error("404");
      return server.get(id)!;
    },
  } as unknown as Api;
  drafts = new Drafts(api, tab, store);
  return () => vi.useRealTimers();
});

test("work is stored in both places a second after the first change", async () => {
  drafts.keep(work(1));
  expect(drafts.safe).toBe(false);
  await vi.advanceTimersByTimeAsync(600);
  drafts.keep(work(2));
  await vi.advanceTimersByTimeAsync(400);
  expect(drafts.local("mine")?.draft.content.nodes.a?.settings?.steps).toBe(2);
  expect(server.get("mine")?.content.nodes.a?.settings?.steps).toBe(2);
  expect(drafts.safe).toBe(true);
});

test("only what is stored nowhere is unsafe to leave", async () => {
  store.full = offline = true;
  drafts.keep(work());
  drafts.flush(true);
  await vi.advanceTimersByTimeAsync(0);
  expect(drafts.safe).toBe(false);
  offline = false;
  drafts.resend(work());
  await vi.advanceTimersByTimeAsync(1000);
  expect(drafts.safe).toBe(true);
});

test("a reload finds the draft, from the server too when the browser lost it", async () => {
  drafts.keep(work(7));
  drafts.flush();
  await vi.advanceTimersByTimeAsync(0);
  expect((await drafts.own(""))?.draft.content.nodes.a?.settings?.steps).toBe(7);
  store.map.clear();
  expect((await drafts.own(""))?.draft.content.nodes.a?.settings?.steps).toBe(7);
});

test("a draft of another address is left to be found, not overwritten", async () => {
  drafts.keep(work(7));
  drafts.flush();
  await vi.advanceTimersByTimeAsync(0);
  expect(await drafts.own("?file=workflows%2Fother.json")).toBeNull();
  expect(tab.draft).not.toBe("mine");
  tab.draftsInUse = async () => new Set([tab.draft]);
  expect((await drafts.orphans()).map(({ draft }) => draft.id)).toEqual(["mine"]);
});

test("what was saved is forgotten in both places", async () => {
  drafts.keep(work());
  drafts.flush();
  drafts.keep(work(2));
  drafts.settle();
  await vi.advanceTimersByTimeAsync(2000);
  expect(store.length).toBe(0);
  expect(server.size).toBe(0);
  expect(drafts.safe).toBe(true);
});

test("a bare address shows any draft, a named one its own", () => {
  const file = originOf({ file: "workflows/a b.json" });
  expect(file).toBe("?file=workflows%2Fa+b.json");
  expect(originOf({ file: null, run: "", template: undefined })).toBe("");
  expect(belongs(file, "")).toBe(true);
  expect(belongs(file, file)).toBe(true);
  expect(belongs("", file)).toBe(false);
});

test("what never reached the server is not asked back from it", async () => {
  const asked = vi.spyOn(drafts.api, "removeDraft");
  drafts.keep(work());
  drafts.settle();
  await vi.advanceTimersByTimeAsync(2000);
  expect(asked).not.toHaveBeenCalled();
  expect(server.size + store.length).toBe(0);
});
