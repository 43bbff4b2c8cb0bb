/** What can be done to the workflow on the canvas. Each is one step to undo. */

import * as clipboard from "../lib/clipboard";
import * as edits from "../lib/content";
import { type Point, freshId } from "../lib/content";
import { type Box, type Side, bounds, inLine, isWithin, nearest } from "../lib/layout";
import { openInputs, openOutputs, refusal, replacedBy } from "../lib/rule";
import type { App } from "../lib/shared";
import type { Content, Group, Json, Mode, NodeEntry, Note, Wire } from "../lib/types";
import { end, source, target } from "../lib/wires";
import { itemId, itemOf } from "./ids";
import { type CanvasState, type Place, type PortRef, boxOf, wireBetween } from "./state.svelte";

/** How far copies stand from what they were copied from. */
const BESIDE = 40;
/** Room between a group's edge and its nodes; more above, for the title. */
const MARGIN = 24;
const TITLE = 40;

export class Actions {
  /** Over when nothing is being laid out. */
  laidOut: Promise<void> = Promise.resolve();

  constructor(
    readonly app: App,
    readonly canvas: CanvasState,
    /** The place on the canvas in the middle of what is seen. */
    readonly middle: () => Point,
    /** The place on the canvas of one on the screen. */
    readonly toFlow: (at: Place) => Point,
  ) {}

  get document() {
    return this.app.document;
  }

  get content(): Content {
    return this.document.content;
  }

  get selection(): readonly string[] {
    return this.document.selection;
  }

  get nothingSelected(): boolean {
    const { groups, notes, reroutes } = this.document.marked;
    return this.selection.length + groups.length + notes.length + reroutes.length === 0;
  }

  // -------------------------------------------------------------- adding

  /** A new node, wired to `from` where one of its ports fits. Gives its name. */
  addNode(kind: string, at: Point, from: PortRef | null = null, settings: Record<string, Json> = {}): string {
    const id = freshId(kind, (name) => name in this.content.nodes);
    const entry: NodeEntry = { type: kind, settings, at: [Math.round(at[0]), Math.round(at[1])] };
    let content = edits.addNode(this.content, id, entry);
    const wire = from && this.#firstWire(content, from, id);
    if (wire) content = edits.addWire(content, wire, replacedBy(content, this.app.catalog, wire));
    this.document.change(`Add ${this.app.catalog.get(kind)?.title ?? kind}`, content);
    this.document.select([id]);
    this.app.ui.announce(`Added ${this.document.titleOf(id)}${wire ? `, wired ${wire[0]} to ${wire[1]}` : ""}.`);
    return id;
  }

  #firstWire(content: Content, from: PortRef, node: string): Wire | null {
    const ports = from.side === "out" ? openInputs(content, this.app.catalog, from, node) : openOutputs(content, this.app.catalog, node, from);
    return ports[0] ? wireBetween(from, { node, port: ports[0].name, side: from.side === "out" ? "in" : "out" }) : null;
  }

  addNote(at: Point = this.middle()): void {
    const index = this.content.notes?.length ?? 0;
    const note: Note = { text: "", at: [Math.round(at[0]), Math.round(at[1])], size: [260, 120] };
    this.document.change("Add a note", edits.addTo(this.content, "notes", note));
    this.document.select([], { groups: [], notes: [index], reroutes: [] });
    this.canvas.editing = `%notes.${index}`;
  }

  /** A frame around the selection. */
  group(): void {
    const boxes = this.canvas.nodes.filter((node) => node.selected && node.type !== "frame").map(boxOf);
    if (boxes.length === 0) return;
    const group: Group = { title: "Group", ...around(boxes) };
    const index = this.content.groups?.length ?? 0;
    this.document.change("Group", edits.addTo(this.content, "groups", group));
    this.document.select([], { groups: [index], notes: [], reroutes: [] });
    this.canvas.editing = `%groups.${index}`;
  }

  /** What lies in a group: nodes, notes, bends and smaller groups, by their flow ids. */
  members(index: number): string[] {
    const id = `%groups.${index}`;
    const frame = this.canvas.nodes.find((node) => node.id === id);
    if (!frame) return [];
    const outer = boxOf(frame);
    const area = (box: Box) => box.width * box.height;
    const inside = (box: Box, isFrame: boolean) => isWithin(box, outer) && (!isFrame || area(box) < area(outer));
    return this.canvas.nodes.filter((node) => node.id !== id && inside(boxOf(node), node.type === "frame")).map((node) => node.id);
  }

  selectMembers(index: number): void {
    const inside = new Set(this.members(index));
    this.canvas.tellSelection(this.canvas.nodes.filter((node) => inside.has(node.id)));
  }

  /** The frame around what lies in it now. */
  fitGroup(index: number): void {
    const inside = new Set(this.members(index));
    const boxes = this.canvas.nodes.filter((node) => inside.has(node.id)).map(boxOf);
    if (boxes.length > 0) this.document.change("Fit a group", edits.editIn(this.content, "groups", index, around(boxes)));
  }

  recolour(list: "groups" | "notes", index: number, color: string | undefined): void {
    this.document.change("Colour", edits.editIn(this.content, list, index, { color }));
  }

  removeListed(list: "groups" | "notes" | "reroutes", index: number): void {
    this.document.change("Delete", edits.removeFrom(this.content, list, new Set([index])));
  }

  removeWithMembers(index: number): void {
    this.selectMembers(index);
    const { marked } = this.document;
    this.document.select(this.selection, { ...marked, groups: [...marked.groups, index] });
    this.remove();
  }

  // -------------------------------------------------------------- wires

  /** Draw a wire, or say why not. `detached` is the wire it takes the place of. */
  connect(wire: Wire, detached: Wire | null = null): string | null {
    const without = detached ? edits.removeWires(this.content, [detached]) : this.content;
    const reason = refusal(without, this.app.catalog, wire);
    if (reason) return reason;
    if (detached && detached[0] === wire[0] && detached[1] === wire[1]) return null;
    const replaced = replacedBy(without, this.app.catalog, wire);
    this.document.change("Wire", edits.addWire(without, wire, replaced));
    this.app.ui.announce(`Wired ${wire[0]} to ${wire[1]}.`);
    return null;
  }

  cut(wires: readonly Wire[]): void {
    if (wires.length > 0) this.document.change(wires.length > 1 ? "Take wires off" : "Take a wire off", edits.removeWires(this.content, wires));
  }

  /** All wires of the selected nodes. */
  disconnect(): void {
    const nodes = new Set(this.selection);
    const touches = (wire: Wire) => nodes.has(source(wire).node) || nodes.has(target(wire).node);
    this.cut([...this.canvas.selectedWires, ...this.content.wires.filter(touches)]);
  }

  /** A bend in a wire, and in all others from the same output that pass there already. */
  bend(wire: Wire, at: Point): void {
    const reroute = { at: [Math.round(at[0]), Math.round(at[1])] as Point, wires: [wire] };
    this.document.change("Bend a wire", edits.addTo(this.content, "reroutes", reroute));
  }

  // -------------------------------------------------------------- what is selected

  remove(): void {
    const { marked } = this.document;
    let content = edits.removeWires(this.content, this.canvas.selectedWires);
    content = edits.removeFrom(content, "groups", new Set(marked.groups));
    content = edits.removeFrom(content, "notes", new Set(marked.notes));
    content = edits.removeFrom(content, "reroutes", new Set(marked.reroutes));
    content = edits.removeNodes(content, this.#withMissing());
    if (this.nothingSelected && this.canvas.selectedWires.length === 0) return;
    const titles = this.selection.map((id) => this.document.titleOf(id));
    this.document.change("Delete", content);
    this.document.select([]);
    this.app.ui.announce(titles.length > 0 ? `Deleted ${titles.join(", ")}.` : "Deleted.");
  }

  /** Nodes only wires speak of are selected on the canvas alone. */
  #withMissing(): string[] {
    const shown = this.canvas.nodes.flatMap((node) => (node.selected && node.data.shown.kind === "node" ? [node.data.shown.node] : []));
    return [...new Set([...this.selection, ...shown])];
  }

  /** Switch a mode on for all, or off where all have it. */
  toggleMode(mode: Mode): void {
    if (this.selection.length === 0) return;
    const all = this.selection.every((id) => this.document.node(id)?.mode === mode);
    this.document.setMode(this.selection, all ? null : mode);
    const what = mode === "mute" ? (all ? "Not muted" : "Muted") : all ? "Not bypassed" : "Bypassed";
    this.app.ui.announce(`${what}: ${this.selection.map((id) => this.document.titleOf(id)).join(", ")}.`);
  }

  toggleCollapsed(ids: readonly string[] = this.selection): void {
    if (ids.length === 0) return;
    const all = ids.every((id) => this.document.node(id)?.collapsed);
    this.document.change(all ? "Open nodes" : "Collapse", edits.editNodes(this.content, ids, () => ({ collapsed: all ? undefined : true })));
  }

  // -------------------------------------------------------------- copies

  /** The selection as text; a group brings along what lies in it. */
  copied(): string | null {
    if (this.nothingSelected) return null;
    return JSON.stringify(clipboard.part(this.content, this.#copiedNodes(), this.document.marked), null, 1);
  }

  #copiedNodes(): string[] {
    const inGroups = this.document.marked.groups.flatMap((index) => this.members(index));
    const members = new Set(inGroups);
    const nodes = this.canvas.nodes.flatMap((node) =>
      members.has(node.id) && node.data.shown.kind === "node" && node.data.shown.entry ? [node.data.shown.node] : [],
    );
    return [...new Set([...this.selection, ...nodes])];
  }

  /** Put a workflow's text into this one. False where the text is none. */
  paste(text: string, at: Point, withIncoming: boolean): boolean {
    const added = clipboard.read(text);
    if (!added) return false;
    this.#insert("Paste", added, at, withIncoming);
    return true;
  }

  /** A copy of the selection with its upper left corner `at`, or a little beside it. */
  duplicate(at?: Point): void {
    if (this.nothingSelected) return;
    const copy = clipboard.part(this.content, this.#copiedNodes(), this.document.marked);
    const { x, y } = bounds(this.canvas.nodes.filter((node) => node.selected).map(boxOf));
    this.#insert("Duplicate", copy, at ?? [x + BESIDE, y + BESIDE], true);
  }

  #insert(title: string, added: Content, at: Point, withIncoming: boolean): void {
    const { content, nodes, marked } = clipboard.insert(this.content, added, at, withIncoming);
    this.document.change(title, content);
    this.document.select(nodes, marked);
    this.app.ui.announce(`${title}: ${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}.`);
  }

  // -------------------------------------------------------------- places

  /** Lay out the selection, or all; groups keep their nodes together, and themselves around them. */
  layOut(): Promise<void> {
    this.laidOut = import("../lib/alongFlow").then(
      ({ alongFlow }) => this.#layOut(alongFlow),
      () => this.app.ui.toast("How to lay out could not be fetched from the server. Try again when it is back.", { tone: "error" }),
    );
    return this.laidOut;
  }

  #layOut(alongFlow: typeof import("../lib/alongFlow").alongFlow): void {
    const some = this.selection.length > 1;
    const boxes = this.canvas.boxes(some ? this.selection : Object.keys(this.content.nodes));
    if (boxes.size === 0) return;
    const groups = some ? [] : this.#groupedNodes();
    const places = alongFlow(this.content, boxes, groups);
    const moved = new Map([...boxes].map(([id, box]): [string, Box] => [id, { ...box, x: places.get(id)![0], y: places.get(id)![1] }]));
    const notes = this.#followers("notes", boxes, moved);
    const bends = this.#followers("reroutes", boxes, moved);
    let content = edits.move(this.content, { nodes: places, notes: corners(notes), reroutes: corners(bends) });
    groups.forEach((nodes, index) => {
      const inside = nodes.flatMap((id) => moved.get(id) ?? []);
      const within = new Set(this.members(index));
      for (const [note, box] of notes) if (within.has(itemId("notes", note))) inside.push(box);
      if (nodes.length > 0) content = edits.editIn(content, "groups", index, around(inside));
    });
    this.document.change("Lay out", content);
  }

  /** The boxes of notes or bends, by their places in the list: each moves with the node it stands nearest to. */
  #followers(list: "notes" | "reroutes", before: ReadonlyMap<string, Box>, after: ReadonlyMap<string, Box>): Map<number, Box> {
    const all = this.canvas.boxes();
    const found = new Map<number, Box>();
    for (const node of this.canvas.nodes) {
      const item = itemOf(node.id);
      if (item.list !== list) continue;
      const box = boxOf(node);
      const id = nearest(box, all);
      // Where only some nodes are laid out, what belongs to others stays.
      const [from, to] = [before.get(id ?? ""), after.get(id ?? "")];
      if (from && to) found.set(item.index, { ...box, x: box.x + to.x - from.x, y: box.y + to.y - from.y });
    }
    return found;
  }

  /** The nodes of each group; one that lies in several is of the smallest. */
  #groupedNodes(): string[][] {
    const groups = this.content.groups ?? [];
    const area = (index: number) => groups[index]!.size[0] * groups[index]!.size[1];
    const owner = new Map<string, number>();
    for (const index of [...groups.keys()].sort((a, b) => area(b) - area(a))) {
      for (const id of this.members(index)) owner.set(id, index);
    }
    return groups.map((_, index) =>
      this.canvas.nodes.flatMap(({ id, data }) => (owner.get(id) === index && data.shown.kind === "node" && data.shown.entry ? [data.shown.node] : [])),
    );
  }

  align(side: Side): void {
    if (this.selection.length < 2) return;
    this.document.change("Align", edits.move(this.content, { nodes: inLine(this.canvas.boxes(this.selection), side) }));
  }

  nudge(x: number, y: number): void {
    const selected = this.canvas.nodes.filter((node) => node.selected);
    const moved = selected.map((node) => ({ ...node, position: { x: node.position.x + x, y: node.position.y + y } }));
    this.place(moved, "nudge");
  }

  /** Keep the places things were moved to. */
  place(moved: readonly { id: string; position: { x: number; y: number } }[], key: string | null = null): void {
    const moves = { nodes: new Map<string, Point>(), groups: new Map<number, Point>(), notes: new Map<number, Point>(), reroutes: new Map<number, Point>() };
    for (const { id, position } of moved) {
      const at: Point = [Math.round(position.x), Math.round(position.y)];
      const shown = this.canvas.nodes.find((node) => node.id === id)?.data.shown;
      if (shown?.kind === "node" && shown.entry) moves.nodes.set(shown.node, at);
      else if (shown?.kind === "group") moves.groups.set(shown.index, at);
      else if (shown?.kind === "note") moves.notes.set(shown.index, at);
      else if (shown?.kind === "bend") moves.reroutes.set(shown.index, at);
    }
    if (moved.length > 0) this.document.change("Move", edits.move(this.content, moves), key);
  }

  /** Nodes one wire further, or one before. */
  neighbours(node: string, side: "in" | "out"): string[] {
    const wires = side === "out" ? this.content.wires.filter((wire) => source(wire).node === node) : this.content.wires.filter((wire) => target(wire).node === node);
    return [...new Set(wires.map((wire) => (side === "out" ? target(wire).node : source(wire).node)))].filter((id) => id in this.content.nodes);
  }

  /** Ports of other nodes that a port may be wired to, those without a wire first. */
  partners(from: PortRef): PortRef[] {
    const side = from.side === "out" ? "in" : "out";
    const taken = (port: PortRef) => side === "in" && this.canvas.wired.in.has(end(port.node, port.port));
    const all = Object.keys(this.content.nodes).flatMap((node) => {
      const ports = side === "in" ? openInputs(this.content, this.app.catalog, from, node) : openOutputs(this.content, this.app.catalog, node, from);
      return ports.map((port): PortRef => ({ node, port: port.name, side }));
    });
    return [...all.filter((port) => !taken(port)), ...all.filter(taken)];
  }
}

function corners(boxes: ReadonlyMap<number, Box>): Map<number, Point> {
  return new Map([...boxes].map(([index, { x, y }]) => [index, [Math.round(x), Math.round(y)]]));
}

function around(boxes: Box[]): Pick<Group, "at" | "size"> {
  const { x, y, width, height } = bounds(boxes);
  return {
    at: [Math.round(x - MARGIN), Math.round(y - TITLE)],
    size: [Math.round(width + 2 * MARGIN), Math.round(height + MARGIN + TITLE)],
  };
}
