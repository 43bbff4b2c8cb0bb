import { expect, test } from "vitest";
import { example, kinds } from "../testing/example";
import { setSeedRule } from "./content";
import { advanceSeeds, nextSeed } from "./seeds";

test("a seed follows its rule within its limits", () => {
  expect(nextSeed(4, "fixed")).toBe(4);
  expect(nextSeed(4, "increment")).toBe(5);
  expect(nextSeed(9, "increment", 9)).toBe(0);
  expect(nextSeed(4, "random", 9, () => 0.999)).toBe(9);
  expect(nextSeed(4, "random", Number.MAX_SAFE_INTEGER, () => 0.5)).toBe(2 ** 31);
});

test("only seeds that move are written, from their default where the file says none", () => {
  const kind = (type: string) => kinds.get(type);
  const fixed = example();
  expect(advanceSeeds(fixed, kind)).toBe(fixed);
  const moving = setSeedRule(fixed, "sample", "seed", "increment");
  expect(advanceSeeds(moving, kind).nodes.sample!.settings).toEqual({ seed: 4 });
  const bare = { ...moving, nodes: { s: { type: "denoise", seeds: { seed: "increment" as const } } } };
  expect(advanceSeeds(bare, kind).nodes.s!.settings).toEqual({ seed: 1 });
});
