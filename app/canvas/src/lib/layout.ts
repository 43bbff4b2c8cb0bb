/** Where nodes go: along the data flow, or in line with each other. */

import { type EdgeLabel, Graph, type GraphLabel, type NodeLabel, layout as dagre } from "@dagrejs/dagre";
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

const BETWEEN_COLUMNS = 90;
const BETWEEN_ROWS = 32;

/**
 * From left to right along the wires. The upper left corner of the whole stays where it is.
 *
 * `groups` are the nodes that are to stay together.
 */
export function alongFlow(content: Content, boxes: ReadonlyMap<string, Box>, groups: readonly (readonly string[])[] = []): Map<string, Point> {
  const graph = new Graph<GraphLabel, NodeLabel, EdgeLabel>({ compound: groups.length > 0 });
  graph.setGraph({ rankdir: "LR", ranksep: BETWEEN_COLUMNS, nodesep: BETWEEN_ROWS, edgesep: 12, ranker: "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, { width, height }] of boxes) graph.setNode(id, { width, height });
  for (const wire of content.wires.filter(isWire)) {
    const [from, to] = [source(wire).node, target(wire).node];
    if (boxes.has(from) && boxes.has(to) && from !== to) graph.setEdge(from, to);
  }
  groups.forEach((members, index) => {
    const inside = members.filter((id) => boxes.has(id));
    // Names of nodes are printable.
    const name = `\n${index}`;
    if (inside.length > 0) graph.setNode(name, { width: 0, height: 0 });
    for (const id of inside) graph.setParent(id, name);
  });
  dagre(graph);
  const placed = new Map<string, Box>();
  for (const [id, box] of boxes) {
    const { x, y } = graph.node(id) as Required<NodeLabel>;
    placed.set(id, { ...box, x: x - box.width / 2, y: y - box.height / 2 });
  }
  const [before, after] = [bounds(boxes.values()), bounds(placed.values())];
  const [x, y] = [before.x - after.x, before.y - after.y];
  return new Map([...placed].map(([id, box]) => [id, [Math.round(box.x + x), Math.round(box.y + y)]]));
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

/** Whether the middle of one box lies in the other. */
export function isWithin(inner: Box, outer: Box): boolean {
  const [x, y] = [inner.x + inner.width / 2, inner.y + inner.height / 2];
  return x >= outer.x && x <= outer.x + outer.width && y >= outer.y && y <= outer.y + outer.height;
}
