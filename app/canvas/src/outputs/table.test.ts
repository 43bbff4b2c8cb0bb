import { expect, test } from "vitest";
import { cell, csv, isNumeric, markdown, sorted } from "./table";

const rows = [
  [10, "b"],
  [null, "a10"],
  [9, "a9"],
  [9, null],
];

test("numbers sort as numbers, nothing is last either way", () => {
  expect(sorted(rows, { column: 0, descending: false }).map((row) => row[0])).toEqual([9, 9, 10, null]);
  expect(sorted(rows, { column: 0, descending: true }).map((row) => row[0])).toEqual([10, 9, 9, null]);
  expect(sorted(rows, { column: 1, descending: false }).map((row) => row[1])).toEqual(["a9", "a10", "b", null]);
  expect(sorted(rows, null)).toEqual(rows);
});

test("equal rows keep their places", () => {
  expect(sorted(rows, { column: 0, descending: false })[0]).toEqual([9, "a9"]);
  expect(sorted(rows, { column: 0, descending: true })[1]).toEqual([9, "a9"]);
});

test("cells are short, copies are exact", () => {
  expect([0.1234567, 3, true, null, "x"].map(cell)).toEqual(["0.123457", "3", "yes", "", "x"]);
  expect(
    csv(
      ["a", 'b "c"'],
      [
        [0.1234567, "x,\ny"],
        [null, true],
      ],
    ),
  ).toBe('a,"b ""c"""\r\n0.1234567,"x,\ny"\r\n,true\r\n');
});

test("bars do not break a Markdown table", () => {
  expect(markdown(["n", "t"], [[1, "a|b\nc"]])).toBe("| n | t |\n| ---: | --- |\n| 1 | a\\|b c |\n");
  expect(isNumeric([[null], [1]], 0)).toBe(true);
  expect(isNumeric([[null]], 0)).toBe(false);
});
