/** Lists of plain values as one line of text and back. */

import type { Json } from "../lib/types";
import { type Chosen, shown } from "./choose";
import { limits, parse } from "./numbers";

export interface Items {
  values: Json[];
  /** What is wrong with the first item that cannot be read; empty if all can. */
  hint: string;
}

/** `0.1, 0.2, 0.5`; texts that hold a comma or lead with a blank are quoted. */
export function joined(values: readonly Json[]): string {
  return values
    .map((value) => (typeof value === "string" && !/[,"\n]|^\s|\s$|^$/.test(value) ? value : quotedOr(value)))
    .join(", ");
}

function quotedOr(value: Json): string {
  return typeof value === "string" ? JSON.stringify(value) : shown(value);
}

/** Whether lists of such items can be typed as one line. */
export function isOneLine({ kind, nullable }: Chosen): boolean {
  return !nullable && ["number", "seed", "line", "input", "model"].includes(kind);
}

/** The items of a typed line, divided by commas, semicolons or new lines; numbers also by blanks. */
export function divided(text: string, item: Chosen): Items {
  const numeric = item.kind === "number" || item.kind === "seed";
  const parts = numeric ? text.split(/[\s,;]+/).filter(Boolean) : words(text);
  if (!numeric) return { values: parts, hint: "" };
  const range = limits(item.schema);
  const values: Json[] = [];
  for (const part of parts) {
    const { value, hint } = parse(part, range);
    if (value === null) return { values, hint: `${part}: ${hint}` };
    values.push(value);
  }
  return { values, hint: "" };
}

function words(text: string): string[] {
  const found = text.matchAll(/\s*(?:"((?:[^"\\]|\\.)*)"|([^,;\n]*))\s*(?:[,;\n]|$)/g);
  const parts: string[] = [];
  for (const [whole, quoted, plain] of found) {
    if (quoted !== undefined) parts.push(unquoted(quoted));
    else if (plain?.trim()) parts.push(plain.trim());
    if (whole === "") break;
  }
  return parts;
}

function unquoted(text: string): string {
  try {
    return JSON.parse(`"${text}"`);
  } catch {
    return text;
  }
}
