import { expect, test } from "vitest";
import { matching, placed } from "./options";

const options = ["dpmpp_2m", "dpmpp_2m_sde", "euler", "euler_ancestral"].map((value) => ({ value, label: value }));
const found = (typed: string) => matching(options, typed).map((option) => option.value);

test("every word has to be in the label", () => {
  expect(found("2m sde")).toEqual(["dpmpp_2m_sde"]);
  expect(found("ANC")).toEqual(["euler_ancestral"]);
  expect(found("heun")).toEqual([]);
  expect(found("")).toHaveLength(4);
});

test("what begins as typed comes first", () => {
  expect(found("e")).toEqual(["euler", "euler_ancestral", "dpmpp_2m_sde"]);
});

test("a list opens where there is room, within the page", () => {
  const page = { width: 400, height: 600 };
  expect(placed({ top: 100, bottom: 124, left: 20, width: 120 }, page, 300)).toMatchObject({
    top: 127,
    bottom: null,
    width: 190,
    height: 300,
  });
  expect(placed({ top: 500, bottom: 524, left: 380, width: 60 }, page, 300)).toMatchObject({
    top: null,
    bottom: 103,
    left: 204,
  });
});
