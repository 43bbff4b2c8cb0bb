/** Where nodes go: in columns, or in line with each other. */

import type { Point } from "./content";
import type { Content } from "./types";
import { isWire, source, target } from "./wires";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type Side = "left" | "right" | "top" | "bottom";

/** Room for a node nobody has measured yet. */
const COLUMN = 340;
const ROW = 300;

/** Each step of the data flow in a column of its own, roughly: for nodes that were never placed. */
export function inColumns(content: Content, ids: readonly string[], [x, y]: Point): Map<string, Point> {
  const depths = new Map<string, number>();
  const wires = content.wires.filter(isWire);
  // As many rounds as the longest way could have steps; a circle ends with them.
  for (let round = 0, changed = true; changed && round < ids.length; round++) {
    changed = false;
    for (const wire of wires) {
      const depth = (depths.get(source(wire).node) ?? 0) + 1;
      if (depth <= (depths.get(target(wire).node) ?? 0)) continue;
      depths.set(target(wire).node, depth);
      changed = true;
    }
  }
  const rows = new Map<number, number>();
  return new Map(
    ids.map((id): [string, Point] => {
      const column = depths.get(id) ?? 0;
      const row = rows.get(column) ?? 0;
      rows.set(column, row + 1);
      return [id, [x + column * COLUMN, y + row * ROW]];
    }),
  );
}

/** Edges in one line. */
export function inLine(boxes: ReadonlyMap<string, Box>, side: Side): Map<string, Point> {
  const all = bounds(boxes.values());
  const place = ({ x, y, width, height }: Box): Point => {
    if (side === "left") return [all.x, y];
    if (side === "right") return [all.x + all.width - width, y];
    if (side === "top") return [x, all.y];
    return [x, all.y + all.height - height];
  };
  return new Map([...boxes].map(([id, box]) => [id, place(box).map(Math.round) as Point]));
}

/** The smallest box around all. */
export function bounds(boxes: Iterable<Box>): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, width, height } of boxes) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return left === Infinity ? { x: 0, y: 0, width: 0, height: 0 } : { x: left, y: top, width: right - left, height: bottom - top };
}

/** The box with the smallest gap to `box`, of several the one whose middle is nearest; null where there is none. */
export function nearest(box: Box, others: ReadonlyMap<string, Box>): string | null {
  let best: [number, number, string | null] = [Infinity, Infinity, null];
  for (const [id, other] of others) {
    const gap = Math.hypot(
      Math.max(0, other.x - box.x - box.width, box.x - other.x - other.width),
      Math.max(0, other.y - box.y - box.height, box.y - other.y - other.height),
    );
    const middles = Math.hypot(
      other.x + other.width / 2 - box.x - box.width / 2,
      other.y + other.height / 2 - box.y - box.height / 2,
    );
    if (gap < best[0] || (gap === best[0] && middles < best[1])) best = [gap, middles, id];
  }
  return best[2];
}

/** Whether the middle of one box lies in the other. */
export function isWithin(inner: Box, outer: Box): boolean {
  const [x, y] = [inner.x + inner.width / 2, inner.y + inner.height / 2];
  return x >= outer.x && x <= outer.x + outer.width && y >= outer.y && y <= outer.y + outer.height;
}
