/** The ends of wires: `node.port`, where node names may hold dots and port names may not. */

import type { Wire } from "./types";

export interface End {
  node: string;
  port: string;
}

export function end(node: string, port: string): string {
  return `${node}.${port}`;
}

export function split(text: string): End {
  const dot = text.lastIndexOf(".");
  return { node: text.slice(0, Math.max(dot, 0)), port: text.slice(dot + 1) };
}

export function source(wire: Wire): End {
  return split(wire[0]);
}

export function target(wire: Wire): End {
  return split(wire[1]);
}

export function same(a: Wire, b: Wire): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

/** Text that names a wire, for maps and sets. */
export function key(wire: Wire): string {
  return `${wire[0]}\n${wire[1]}`;
}

/** A file may hold what is no wire at all; it is kept there and not drawn. */
export function isWire(value: unknown): value is Wire {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((text) => typeof text === "string" && text.includes(".") && split(text).node !== "" && split(text).port !== "")
  );
}
