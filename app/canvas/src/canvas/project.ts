/** The workflow as Svelte Flow draws it. What did not change keeps its object, so that it is not drawn anew. */

import type { Edge, Node } from "@xyflow/svelte";
import type { Kinds } from "../lib/catalog";
import { typeColour } from "../lib/colour";
import type { Point } from "../lib/content";
import { inColumns } from "../lib/layout";
import { outputOf } from "../lib/rule";
import type { Content, Group, NodeEntry, Note, Reroute, Wire } from "../lib/types";
import { end, isWire, key, source, target } from "../lib/wires";
import { flowId, itemId } from "./ids";

export type Shown =
  /** `entry` is null for a node that only wires speak of. */
  | { kind: "node"; node: string; entry: NodeEntry | null }
  | { kind: "group"; index: number; group: Group }
  | { kind: "note"; index: number; note: Note }
  | { kind: "bend"; index: number; reroute: Reroute; colour: string };

export type FlowNode = Node<{ shown: Shown }, "operation" | "frame" | "note" | "bend">;

/** `bends` are the flow ids the wire passes through. */
export type FlowEdge = Edge<{ wire: Wire; colour: string; bends: readonly string[] }, "wire">;

export const NODE_WIDTH = 248;
const BEHIND = -2000;
const ABOVE = 1500;
const UNKNOWN_COLOUR = "var(--border-strong)";

// ---------------------------------------------------------------- nodes

export function flowNodes(content: Content, kinds: Kinds, before: readonly FlowNode[]): FlowNode[] {
  const known = new Map(before.map((node) => [node.id, node]));
  const places = unplaced(content);
  const nodes: FlowNode[] = [];
  const keep = (id: string, shown: Shown, make: () => Omit<FlowNode, "id" | "data">) => {
    const old = known.get(id);
    nodes.push(old && sameShown(old.data.shown, shown) ? old : { ...carried(old), id, data: { shown }, ...make() });
  };
  content.groups?.forEach((group, index) =>
    keep(itemId("groups", index), { kind: "group", index, group }, () => framed("frame", group, BEHIND)),
  );
  content.notes?.forEach((note, index) =>
    keep(itemId("notes", index), { kind: "note", index, note }, () => framed("note", note, BEHIND / 2)),
  );
  for (const [node, entry] of Object.entries(content.nodes)) {
    keep(flowId(node), { kind: "node", node, entry }, () => ({
      type: "operation",
      position: point(entry.at ?? places.get(node) ?? [0, 0]),
      ariaLabel: `${entry.title || kinds.get(entry.type)?.title || entry.type} (${node})`,
      width: entry.width ?? NODE_WIDTH,
    }));
  }
  for (const [node, place] of missing(content)) {
    keep(flowId(node), { kind: "node", node, entry: null }, () => ({ type: "operation", position: point(place), width: NODE_WIDTH }));
  }
  content.reroutes?.forEach((reroute, index) => {
    const colour = colourOf(content, kinds, reroute.wires[0]);
    // Its middle is its place; it lies above wires that are selected.
    const make = () => ({ type: "bend" as const, position: point(reroute.at), origin: [0.5, 0.5] as Point, zIndex: ABOVE });
    keep(itemId("reroutes", index), { kind: "bend", index, reroute, colour }, make);
  });
  return nodes;
}

/** What Svelte Flow measured, and whether it is selected, outlive a change. */
function carried(old: FlowNode | undefined): Partial<FlowNode> {
  return old ? { measured: old.measured, selected: old.selected } : {};
}

function framed(type: "frame" | "note", { at, size }: Group | Note, zIndex: number): Omit<FlowNode, "id" | "data"> {
  return { type, position: point(at), width: size[0], height: size[1], zIndex };
}

function sameShown(a: Shown, b: Shown): boolean {
  if (a.kind === "node" && b.kind === "node") return a.entry === b.entry;
  if (a.kind === "group" && b.kind === "group") return a.group === b.group;
  if (a.kind === "note" && b.kind === "note") return a.note === b.note;
  return a.kind === "bend" && b.kind === "bend" && a.reroute === b.reroute && a.colour === b.colour;
}

function point([x, y]: Point): { x: number; y: number } {
  return { x, y };
}

/** Places for nodes whose file says none; they are not written until something is moved. */
function unplaced(content: Content): Map<string, Point> {
  const without = Object.entries(content.nodes).filter(([, entry]) => !entry.at);
  if (without.length === 0) return new Map();
  const placed = Object.values(content.nodes).flatMap((entry) => (entry.at ? [entry.at] : []));
  const left = Math.min(...placed.map(([x]) => x));
  const below = Math.max(...placed.map(([, y]) => y)) + 400;
  return inColumns(content, without.map(([id]) => id), placed.length > 0 ? [left, below] : [0, 0]);
}

/** Nodes only wires speak of, each above and beside the one it is wired to. */
function missing(content: Content): Map<string, Point> {
  const found = new Map<string, Point>();
  for (const wire of content.wires.filter(isWire)) {
    const [from, to] = [source(wire).node, target(wire).node];
    const beside = (node: string, by: number): Point => {
      const [x, y] = content.nodes[node]?.at ?? [0, 0];
      return [x + by, y - 150 * (found.size + 1)];
    };
    if (!(from in content.nodes) && !found.has(from)) found.set(from, beside(to, -NODE_WIDTH - 80));
    if (!(to in content.nodes) && !found.has(to)) found.set(to, beside(from, NODE_WIDTH + 80));
  }
  return found;
}

// ---------------------------------------------------------------- wires

export function flowEdges(content: Content, kinds: Kinds, before: readonly FlowEdge[]): FlowEdge[] {
  const known = new Map(before.map((edge) => [edge.id, edge]));
  const bends = bendsOf(content);
  const edges = new Map<string, FlowEdge>();
  for (const wire of content.wires.filter(isWire)) {
    const id = flowId(key(wire));
    const colour = colourOf(content, kinds, wire);
    const through = bends.get(key(wire)) ?? [];
    const old = known.get(id);
    const same = old?.data && old.data.colour === colour && old.data.bends.join() === through.join();
    edges.set(id, same ? old : edge(id, wire, colour, through, old));
  }
  return [...edges.values()];
}

function edge(id: string, wire: Wire, colour: string, bends: readonly string[], old: FlowEdge | undefined): FlowEdge {
  const [from, to] = [source(wire), target(wire)];
  return {
    ...{ id, type: "wire", data: { wire, colour, bends }, selected: old?.selected },
    ...{ source: flowId(from.node), sourceHandle: flowId(from.port), target: flowId(to.node), targetHandle: flowId(to.port) },
    ariaLabel: `Wire from ${end(from.node, from.port)} to ${end(to.node, to.port)}`,
  };
}

function bendsOf(content: Content): Map<string, string[]> {
  const found = new Map<string, string[]>();
  content.reroutes?.forEach((reroute, index) => {
    for (const wire of reroute.wires.filter(isWire)) {
      found.set(key(wire), [...(found.get(key(wire)) ?? []), itemId("reroutes", index)]);
    }
  });
  return found;
}

function colourOf(content: Content, kinds: Kinds, wire: Wire | undefined): string {
  const type = wire && isWire(wire) ? outputOf(content, kinds, source(wire))?.types[0] : undefined;
  return type === undefined ? UNKNOWN_COLOUR : typeColour(type);
}
