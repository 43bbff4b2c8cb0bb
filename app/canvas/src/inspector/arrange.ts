/** Several nodes on one axis, or at even distances. */

import type { Point } from "../lib/content";
import { bounds, type Box, inLine, type Side } from "../lib/layout";

export type Arrangement = Side | "centre" | "middle" | "across" | "down";

export function arranged(boxes: ReadonlyMap<string, Box>, how: Arrangement): Map<string, Point> {
  if (how === "across" || how === "down") return spread(boxes, how);
  if (how !== "centre" && how !== "middle") return inLine(boxes, how);
  const all = bounds(boxes.values());
  return new Map(
    [...boxes].map(([id, { x, y, width, height }]) => [
      id,
      how === "centre"
        ? [Math.round(all.x + (all.width - width) / 2), y]
        : [x, Math.round(all.y + (all.height - height) / 2)],
    ]),
  );
}

/** The first and the last stay; the gaps between all are alike, and never negative. */
function spread(boxes: ReadonlyMap<string, Box>, how: "across" | "down"): Map<string, Point> {
  const along = (box: Box) => (how === "across" ? { from: box.x, size: box.width } : { from: box.y, size: box.height });
  const order = [...boxes].sort(([, a], [, b]) => along(a).from - along(b).from);
  const all = bounds(boxes.values());
  const taken = order.reduce((sum, [, box]) => sum + along(box).size, 0);
  const gap = Math.max(16, ((how === "across" ? all.width : all.height) - taken) / Math.max(1, order.length - 1));
  const places = new Map<string, Point>();
  let next = how === "across" ? all.x : all.y;
  for (const [id, box] of order) {
    places.set(id, how === "across" ? [Math.round(next), box.y] : [box.x, Math.round(next)]);
    next += along(box).size + gap;
  }
  return places;
}
