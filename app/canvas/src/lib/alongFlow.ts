/** Nodes laid out along the data flow. Large, so it is fetched when it is first asked for. */

import { type EdgeLabel, Graph, type GraphLabel, type NodeLabel, layout } from "@dagrejs/dagre";
import type { Point } from "./content";
import { type Box, bounds } from "./layout";
import type { Content } from "./types";
import { isWire, source, target } from "./wires";

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
  layout(graph);
  const placed = new Map<string, Box>();
  for (const [id, box] of boxes) {
    const { x, y } = graph.node(id) as Required<NodeLabel>;
    placed.set(id, { ...box, x: x - box.width / 2, y: y - box.height / 2 });
  }
  const [before, after] = [bounds(boxes.values()), bounds(placed.values())];
  const [x, y] = [before.x - after.x, before.y - after.y];
  return new Map([...placed].map(([id, box]) => [id, [Math.round(box.x + x), Math.round(box.y + y)]]));
}
