import { expect, test } from "vitest";
import { CATALOG, kinds } from "../testing/example";
import type { InputKind } from "./types";

const names = (found: { name: string }[]) => found.map((kind) => kind.name);
const takes = (types: string[], optional = false): InputKind => ({ name: "x", types, optional, many: false });

test("an output fits where each of its types is taken, or one it is a kind of", () => {
  const gives = (...types: string[]) => ({ name: "y", types });
  expect(kinds.fits(gives("Cfg"), takes(["Guidance"]))).toBe(true);
  expect(kinds.fits(gives("Guidance"), takes(["Cfg"]))).toBe(false);
  expect(kinds.fits(gives("Image", "Latent"), takes(["Image"]))).toBe(false);
  expect(kinds.fits(gives("Image", "Latent"), takes(["Latent", "Image"]))).toBe(true);
  expect(kinds.fits(gives("Unheard"), takes(["Unheard"]))).toBe(true);
});

test("only what may stay empty takes nothing", () => {
  const maybe = { name: "y", types: ["Image", "NoneType"] };
  expect(kinds.fits(maybe, takes(["Image"]))).toBe(false);
  expect(kinds.fits(maybe, takes(["Image"], true))).toBe(true);
});

test("words find titles first, then categories and summaries, and forgive a slip", () => {
  expect(names(kinds.search("dec"))[0]).toBe("decode");
  expect(names(kinds.search("prompt enc"))[0]).toBe("encode_prompt");
  expect(names(kinds.search("denose"))).toContain("denoise");
  expect(names(kinds.search("checkpoint"))).toEqual(["load_model"]);
  expect(names(kinds.search("guidance"))).toContain("cfg");
  expect(kinds.search("xyzzy")).toEqual([]);
  expect(kinds.search("  ")).toHaveLength(CATALOG.nodes.length);
});

test("a search is narrowed to what fits a port", () => {
  const latent = { output: { name: "latent", types: ["Latent"] } };
  expect(names(kinds.search("", latent)).sort()).toEqual(["decode", "denoise"]);
  expect(names(kinds.search("", { input: takes(["Guidance"]) }))).toEqual(["cfg"]);
});
