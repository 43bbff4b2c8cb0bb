import { expect, test } from "vitest";
import { diskState, freeName, pathFor, shownName } from "./conflict";

const open = { path: "workflows/a.json", etag: "one" };

test("news is of the open file and of another state, or no news", () => {
  expect(diskState({ path: "workflows/a.json", etag: "two" }, open)).toEqual({ kind: "changed", etag: "two" });
  expect(diskState({ path: "workflows/a.json", etag: null }, open)).toEqual({ kind: "deleted" });
  expect(diskState({ path: "workflows/a.json", etag: "one" }, open)).toBeNull();
  expect(diskState({ path: "workflows/b.json", etag: "two" }, open)).toBeNull();
});

test("what is typed becomes a path that every system takes", () => {
  expect(pathFor("Portrait")).toBe("workflows/Portrait.json");
  expect(pathFor(" people / anna.json ")).toBe("workflows/people/anna.json");
  expect(pathFor("workflows/anna")).toBe("workflows/anna.json");
  expect(pathFor("anna", "opened")).toBe("opened/anna.json");
  expect(pathFor("opened/anna")).toBe("opened/anna.json");
  expect(pathFor('../a: "b"?')).toBe("workflows/a- -b-.json");
  expect(pathFor("workflows")).toBe("workflows/workflows.json");
});

test("a shown name leads back to its path", () => {
  expect(shownName("workflows/people/anna.json")).toBe("people/anna");
  expect(pathFor(shownName("workflows/people/anna.json"))).toBe("workflows/people/anna.json");
});

test("a copy takes a name that is free", () => {
  const taken = new Set(["workflows/a.json", "workflows/a 2.json"]);
  expect(freeName("b", taken)).toBe("b");
  expect(freeName("a", taken)).toBe("a 3");
});
