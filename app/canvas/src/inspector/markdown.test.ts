import { expect, test } from "vitest";
import { blocks, inline, linkName } from "./markdown";

test("lines of a paragraph are joined, empty lines divide", () => {
  expect(blocks("One\ntwo.\n\nThree.")).toEqual([
    { kind: "paragraph", parts: [{ kind: "text", text: "One two." }] },
    { kind: "paragraph", parts: [{ kind: "text", text: "Three." }] },
  ]);
});

test("lists, with items that go on", () => {
  expect(blocks("Either:\n- a `b`\n  and c\n- d\n1. e\nAfter.")).toEqual([
    { kind: "paragraph", parts: [{ kind: "text", text: "Either:" }] },
    {
      kind: "list",
      ordered: false,
      items: [
        [
          { kind: "text", text: "a " },
          { kind: "code", text: "b" },
          { kind: "text", text: " and c" },
        ],
        [{ kind: "text", text: "d" }],
      ],
    },
    { kind: "list", ordered: true, items: [[{ kind: "text", text: "e" }]] },
    { kind: "paragraph", parts: [{ kind: "text", text: "After." }] },
  ]);
});

test("code is kept as it is, also when it is not closed", () => {
  expect(blocks("```python\na\n\n  - b\n```\nc")[0]).toEqual({ kind: "code", text: "a\n\n  - b" });
  expect(blocks("```\nrest")).toEqual([{ kind: "code", text: "rest" }]);
});

test("links end before punctuation and brackets", () => {
  expect(inline("(https://arxiv.org/abs/2310.04378), see https://a.b/c.")).toEqual([
    { kind: "text", text: "(" },
    { kind: "link", text: "arXiv 2310.04378", href: "https://arxiv.org/abs/2310.04378" },
    { kind: "text", text: "), see " },
    { kind: "link", text: "a.b/c", href: "https://a.b/c" },
    { kind: "text", text: "." },
  ]);
  expect(linkName("https://www.example.org/")).toBe("example.org");
});

test("HTML stays text, and only web addresses become links", () => {
  const attack = '<img src=x onerror=alert(1)> [a](javascript:alert(1)) javascript:alert(1) <a href="data:x">';
  expect(inline(attack)).toEqual([{ kind: "text", text: attack }]);
  expect(inline('`<b>` **<i>** [<u>](https://x.y/"onclick=)')).toEqual([
    { kind: "code", text: "<b>" },
    { kind: "text", text: " " },
    { kind: "strong", text: "<i>" },
    { kind: "text", text: " " },
    { kind: "link", text: "<u>", href: 'https://x.y/"onclick=' },
  ]);
});

test("shapes in brackets and lone marks are text", () => {
  const text = "A latent (B, C, h, w) * 2 of [word] and `one";
  expect(inline(text)).toEqual([{ kind: "text", text }]);
});
