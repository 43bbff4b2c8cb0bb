import { expect, test } from "vitest";
import { History } from "./history";

test("steps go back and forth, and a new change ends what could be done again", () => {
  const history = new History<string>();
  history.leave("a", "first");
  history.leave("b", "second");
  expect(history.undo("c")).toEqual({ state: "b", title: "second" });
  expect(history.undo("b")).toEqual({ state: "a", title: "first" });
  expect(history.undo("a")).toBeNull();
  expect(history.redo("a")).toEqual({ state: "b", title: "first" });
  history.leave("b", "other");
  expect(history.canRedo).toBe(false);
  expect(history.undo("d")).toEqual({ state: "b", title: "other" });
});

test("typing into one field is one step, until it pauses or something else is done", () => {
  const history = new History<number>();
  history.leave(0, "type", "field", 0);
  history.leave(1, "type", "field", 500);
  history.leave(2, "type", "field", 1000);
  history.leave(3, "type", "field", 9000);
  history.leave(4, "move", null, 9001);
  history.leave(5, "type", "field", 9002);
  const states = [];
  for (let step = history.undo(6); step; step = history.undo(step.state)) states.push(step.state);
  expect(states).toEqual([5, 4, 3, 0]);
});

test("after undoing, the same field begins a new step", () => {
  const history = new History<number>();
  history.leave(0, "type", "field", 0);
  history.undo(1);
  history.leave(0, "type", "field", 10);
  expect(history.undo(2)?.state).toBe(0);
  expect(history.canUndo).toBe(false);
});
