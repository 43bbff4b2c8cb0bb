import { expect, test } from "vitest";
import { EMPTY, labelled, moved, showsOutput, showsSetting, toggleOutput, toggleSetting, viewOf } from "./appView";

test("settings and outputs are shown and hidden again", () => {
  const view = toggleOutput(toggleSetting(EMPTY, "noise.seed"), "picture");
  expect([showsSetting(view, "noise.seed"), showsOutput(view, "picture")]).toEqual([true, true]);
  expect(toggleOutput(toggleSetting(view, "noise.seed"), "picture")).toEqual(EMPTY);
  expect(EMPTY).toEqual({ inputs: [], outputs: [] });
});

test("a view that is not whole is made so, and what else it holds is kept", () => {
  const content = { format: 1, nodes: {}, wires: [], app: { inputs: [{ setting: "a.b" }], theme: "x" } };
  expect(viewOf(content as never)).toEqual({ inputs: [{ setting: "a.b" }], outputs: [], theme: "x" });
  expect(viewOf({ format: 1, nodes: {}, wires: [] })).toEqual(EMPTY);
});

test("items change places, but not beyond the ends", () => {
  expect(moved(["a", "b", "c"], 0, 2)).toEqual(["b", "c", "a"]);
  expect(moved(["a", "b", "c"], 2, 1)).toEqual(["a", "c", "b"]);
  expect(moved(["a", "b"], 0, -1)).toEqual(["a", "b"]);
  expect(moved(["a", "b"], 1, 2)).toEqual(["a", "b"]);
});

test("an empty label is none", () => {
  const items = [{ setting: "a.b", label: "B" }, { setting: "a.c" }];
  expect(labelled(items, 0, " ")).toEqual([{ setting: "a.b" }, { setting: "a.c" }]);
  expect(labelled(items, 1, " C ")).toEqual([items[0], { setting: "a.c", label: "C" }]);
});
