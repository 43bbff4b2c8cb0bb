/** What the canvas holds besides the document: what Svelte Flow draws, and what is going on with the pointer. */

import { getContext, setContext, untrack } from "svelte";
import type { Kinds } from "../lib/catalog";
import type { Point } from "../lib/content";
import type { WorkflowDocument } from "../lib/document.svelte";
import type { Box } from "../lib/layout";
import { inputOf, outputOf, refusal } from "../lib/rule";
import type { Problem, Wire } from "../lib/types";
import { type End, end, isWire, source, target } from "../lib/wires";
import { flowId, itemId, itemOf } from "./ids";
import { type FlowEdge, type FlowNode, NODE_WIDTH, flowEdges, flowNodes } from "./project";

export interface Place {
  x: number;
  y: number;
}

export type Direction = "in" | "out";

export interface PortRef extends End {
  side: Direction;
}

/** A wire being dragged from a port; `detached` is the wire it was taken from. */
export interface Connecting extends PortRef {
  detached: Wire | null;
}

export type MenuTarget =
  | { kind: "canvas" }
  | { kind: "nodes" }
  | { kind: "wire"; wire: Wire }
  | { kind: "group"; index: number }
  | { kind: "note"; index: number }
  | { kind: "bend"; index: number };

/** A box of the canvas that is open at a place on the screen. */
export type Open =
  /** `point` is where on the canvas the new node goes; without it, wherever there is room. */
  | { kind: "search"; at: Place; point: Point | null; from: PortRef | null }
  | { kind: "menu"; at: Place; target: MenuTarget }
  | { kind: "connect"; at: Place; node: string; side: Direction };

export class CanvasState {
  nodes = $state.raw<FlowNode[]>([]);
  edges = $state.raw<FlowEdge[]>([]);
  connecting = $state.raw<Connecting | null>(null);
  open = $state.raw<Open | null>(null);
  /** The node, group or note whose title or text is being typed, by its flow id. */
  editing = $state<string | null>(null);
  /** The pointer's last place over the canvas, on the screen. */
  pointer: Place | null = null;

  /** Where bends are, also while they are dragged. */
  bends = $derived(new Map(this.nodes.filter((node) => node.type === "bend").map((node) => [node.id, node.position])));
  /** The same list as long as no wire is changed, so that ports look again only then. */
  #wires = $derived.by(() => this.document.content.wires);
  /** Ends of all wires, to tell wired ports. */
  wired = $derived.by(() => {
    const wires = this.#wires.filter(isWire);
    return { in: new Set(wires.map((wire) => wire[1])), out: new Set(wires.map((wire) => wire[0])) };
  });
  /** Ports that only wires speak of, by node. */
  strays = $derived.by(() => {
    const wires = this.#wires.filter(isWire);
    return untrack(() => straysOf(wires, this.document));
  });
  problems = $derived.by(() => byNode(this.document.problems));

  constructor(
    readonly document: WorkflowDocument,
    readonly kinds: Kinds,
  ) {}

  /** Draw what the document has now. */
  sync(): void {
    const { content } = this.document;
    this.nodes = this.#selected(flowNodes(content, this.kinds, this.nodes));
    this.edges = flowEdges(content, this.kinds, this.edges);
  }

  /** Show as selected what the document says is. */
  syncSelection(): void {
    this.nodes = this.#selected(this.nodes);
  }

  #selected(nodes: FlowNode[]): FlowNode[] {
    const { selection, marked } = this.document;
    const wanted = new Set(selection.map(flowId));
    for (const list of ["groups", "notes", "reroutes"] as const) for (const index of marked[list]) wanted.add(itemId(list, index));
    let changed = false;
    const result = nodes.map((node) => {
      if (!!node.selected === wanted.has(node.id)) return node;
      changed = true;
      return { ...node, selected: wanted.has(node.id) };
    });
    return changed || nodes !== this.nodes ? result : nodes;
  }

  /** Tell the document what was selected by pointer or key. */
  tellSelection(nodes: readonly FlowNode[]): void {
    const items = nodes.map((node) => itemOf(node.id));
    const selection = items.flatMap((item) => (item.list === "nodes" && item.node in this.document.content.nodes ? [item.node] : []));
    const of = (list: "groups" | "notes" | "reroutes") => items.flatMap((item) => (item.list === list ? [item.index] : []));
    this.document.select(selection, { groups: of("groups"), notes: of("notes"), reroutes: of("reroutes") });
  }

  get selectedWires(): Wire[] {
    return this.edges.filter((edge) => edge.selected).map((edge) => edge.data!.wire);
  }

  /** The drawn boxes of nodes, by their names; all, or some. */
  boxes(only?: readonly string[]): Map<string, Box> {
    const wanted = only && new Set(only.map(flowId));
    const boxes = new Map<string, Box>();
    for (const node of this.nodes) {
      const item = itemOf(node.id);
      if (item.list === "nodes" && (!wanted || wanted.has(node.id))) boxes.set(item.node, boxOf(node));
    }
    return boxes;
  }

  /** Whether a wire between the port and the one being dragged from is allowed; null while none is dragged. */
  fitsConnecting(port: PortRef): boolean | null {
    const from = this.connecting;
    if (!from) return null;
    if (from.side === port.side) return false;
    return refusal(this.document.content, this.kinds, wireBetween(from, port)) === null;
  }

  typesOf(port: PortRef): readonly string[] {
    const { content } = this.document;
    return (port.side === "in" ? inputOf(content, this.kinds, port) : outputOf(content, this.kinds, port))?.types ?? [];
  }

  /** Wires at a port. */
  wiresAt(port: PortRef): Wire[] {
    const at = end(port.node, port.port);
    return this.document.content.wires.filter((wire) => isWire(wire) && wire[port.side === "in" ? 1 : 0] === at);
  }
}

/** The wire from one port to another, whichever of them is the output. */
export function wireBetween(a: PortRef, b: PortRef): Wire {
  const [from, to] = a.side === "out" ? [a, b] : [b, a];
  return [end(from.node, from.port), end(to.node, to.port)];
}

export function boxOf(node: FlowNode): Box {
  const width = node.measured?.width ?? node.width ?? NODE_WIDTH;
  return { ...node.position, width, height: node.measured?.height ?? node.height ?? 120 };
}

interface Strays {
  in: string[];
  out: string[];
}

function straysOf(wires: readonly Wire[], document: WorkflowDocument): ReadonlyMap<string, Strays> {
  const found = new Map<string, Strays>();
  const note = ({ node, port }: End, side: Direction) => {
    const kind = document.kindOf(node);
    if (kind && (side === "in" ? kind.inputs : kind.outputs).some((each) => each.name === port)) return;
    const strays = found.get(node) ?? { in: [], out: [] };
    if (!strays[side].includes(port)) strays[side].push(port);
    found.set(node, strays);
  };
  for (const wire of wires) {
    note(source(wire), "out");
    note(target(wire), "in");
  }
  return found;
}

function byNode(problems: readonly Problem[]): ReadonlyMap<string, Problem[]> {
  const found = new Map<string, Problem[]>();
  for (const problem of problems) {
    if (problem.node !== null) found.set(problem.node, [...(found.get(problem.node) ?? []), problem]);
  }
  return found;
}

const NAME = Symbol("canvas");

export function setCanvas(canvas: CanvasState): CanvasState {
  return setContext(NAME, canvas);
}

export function getCanvas(): CanvasState {
  return getContext<CanvasState>(NAME);
}
