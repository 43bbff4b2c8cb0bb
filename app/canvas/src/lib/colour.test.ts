import { expect, test } from "vitest";
import { categoryColour, seriesColour, typeColour } from "./colour";

test("a type has its colour for ever", () => {
  expect(typeColour("Image")).toBe("var(--type-9)");
  expect(typeColour("SomebodysOwn")).toBe(typeColour("SomebodysOwn"));
  expect(typeColour("constructor")).toMatch(/^var\(--type-\d+\)$/);
});

test("common types are told apart", () => {
  const types = [
    "Model",
    "Conditioning",
    "Latent",
    "Noise",
    "Image",
    "Mask",
    "Schedule",
    "Sampler",
    "Guidance",
    "Prompts",
    "Table",
    "Figure",
    "Methods",
    "Results",
    "Report",
    "Reward",
  ];
  expect(new Set(types.map(typeColour)).size).toBe(types.length);
});

test("hashed types spread over the hues", () => {
  const colours = new Set(Array.from({ length: 200 }, (_, i) => typeColour(`Type${i}`)));
  expect(colours.size).toBe(16);
});

test("the first sixteen series of a figure differ", () => {
  expect(new Set(Array.from({ length: 16 }, (_, i) => seriesColour(i))).size).toBe(16);
  expect(categoryColour("image")).toBe(typeColour("Image"));
});
