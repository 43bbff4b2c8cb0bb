import { expect, test } from "vitest";
import { commandFor, printed, SECTIONS, SHORTCUTS } from "./shortcuts";

const press = (key: string, held: Partial<Record<"ctrlKey" | "metaKey" | "shiftKey" | "altKey", boolean>> = {}, code = "") =>
  commandFor({ key, code, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...held });

test("keys mean what the table says", () => {
  expect(press("Enter", { ctrlKey: true })).toBe("run");
  expect(press("Enter", { ctrlKey: true, shiftKey: true })).toBe("runFirst");
  expect(press("Enter", { ctrlKey: true, altKey: true })).toBe("interrupt");
  expect(press("z", { ctrlKey: true })).toBe("undo");
  expect(press("Z", { ctrlKey: true, shiftKey: true })).toBe("redo");
  expect(press("s", { metaKey: true })).toBe("save");
  expect(press(" ")).toBe("search");
  expect(press("w")).toBe("connectOutput");
  expect(press("W", { shiftKey: true })).toBe("connectInput");
  expect(press("k")).toBeNull();
});

test("signs are found with and without Shift, letters also where Alt types another", () => {
  expect(press("?", { shiftKey: true })).toBe("shortcuts");
  expect(press("?")).toBe("shortcuts");
  expect(press("+", { shiftKey: true })).toBe("zoomIn");
  expect(press("ç", { altKey: true }, "KeyC")).toBe("collapse");
});

test("copying is left to the browser's own events", () => {
  expect(press("c", { ctrlKey: true })).toBeNull();
  expect(press("v", { ctrlKey: true, shiftKey: true })).toBeNull();
});

test("no two commands have the same keys, and each has a section", () => {
  const all = Object.values(SHORTCUTS).flatMap((shortcut) => [...shortcut.keys]);
  expect(new Set(all).size).toBe(all.length);
  expect(new Set(Object.values(SHORTCUTS).map((shortcut) => shortcut.section))).toEqual(new Set(SECTIONS));
});

test("keys are printed as they stand on the keyboard", () => {
  expect(printed("Ctrl+Shift+Z", false)).toEqual(["Ctrl", "Shift", "Z"]);
  expect(printed("Ctrl+Shift+Z", true)).toEqual(["⌘", "⇧", "Z"]);
  expect(printed("ArrowLeft", false)).toEqual(["←"]);
  expect(printed("+", false)).toEqual(["+"]);
});
