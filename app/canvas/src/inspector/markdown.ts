/** The little of Markdown that docstrings use, as values: text never becomes HTML, so nothing can be smuggled in. */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong"; text: string }
  | { kind: "link"; text: string; href: string };

export type Block =
  | { kind: "paragraph"; parts: Inline[] }
  | { kind: "list"; ordered: boolean; items: Inline[][] }
  | { kind: "code"; text: string };

const ITEM = /^\s*(?:[-*•]|(\d+)[.)])\s+(.*)$/;
const FENCE = /^\s*```/;
// In this order: code, bold, a named link, a bare link that does not end in a sentence's punctuation.
const INLINE =
  /``([^`]+)``|`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s)>\]]*[^\s)>\].,;:!?'"])/g;

export function blocks(source: string): Block[] {
  const found: Block[] = [];
  const lines = source.replace(/\r\n?/g, "\n").split("\n");
  let paragraph: string[] = [];
  let list: { ordered: boolean; items: string[] } | null = null;
  let code: string[] | null = null;

  const close = () => {
    if (paragraph.length > 0) found.push({ kind: "paragraph", parts: inline(paragraph.join(" ")) });
    if (list) found.push({ kind: "list", ordered: list.ordered, items: list.items.map(inline) });
    paragraph = [];
    list = null;
  };

  for (const line of lines) {
    if (FENCE.test(line)) {
      if (code) found.push({ kind: "code", text: code.join("\n") });
      else close();
      code = code ? null : [];
      continue;
    }
    if (code) {
      code.push(line);
      continue;
    }
    const item = line.match(ITEM);
    if (line.trim() === "") close();
    else if (item) {
      const ordered = item[1] !== undefined;
      if (!list || list.ordered !== ordered) close();
      list ??= { ordered, items: [] };
      list.items.push(item[2] ?? "");
    } else if (list && /^\s+/.test(line)) list.items.push(`${list.items.pop()} ${line.trim()}`);
    else {
      if (list) close();
      paragraph.push(line.trim());
    }
  }
  if (code) found.push({ kind: "code", text: code.join("\n") });
  close();
  return found;
}

export function inline(text: string): Inline[] {
  const parts: Inline[] = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > end) parts.push({ kind: "text", text: text.slice(end, match.index) });
    end = match.index + match[0].length;
    const [, double, single, strong, name, href, bare] = match;
    if (double ?? single) parts.push({ kind: "code", text: (double ?? single)! });
    else if (strong) parts.push({ kind: "strong", text: strong });
    else parts.push({ kind: "link", text: name ?? linkName(bare!), href: href ?? bare! });
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}

/** A short name for a page: papers by their number. */
export function linkName(href: string): string {
  const paper = href.match(/^https?:\/\/arxiv\.org\/(?:abs|pdf)\/([\w.-]+\/?\d+(?:v\d+)?)/);
  if (paper) return `arXiv ${paper[1]!.replace(/v\d+$/, "")}`;
  return href.replace(/^https?:\/\/(www\.)?/, "").replace(/\/$/, "");
}
