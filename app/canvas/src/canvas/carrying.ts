/** A group that is dragged carries what lies in it; with Alt held copies are dragged. A whole drag is one step to undo. */

import { bounds } from "../lib/layout";
import type { Actions } from "./actions";
import { itemOf } from "./ids";
import type { FlowNode } from "./project";
import { boxOf, type CanvasState, type Place } from "./state.svelte";

export class Carrier {
  /** Where the carried things, and the thing in hand, were at the start. */
  #carried = new Map<string, Place>();
  #start: Place | null = null;
  #copies = false;

  constructor(
    readonly canvas: CanvasState,
    readonly actions: Actions,
  ) {}

  start(inHand: FlowNode | null, dragged: readonly FlowNode[], copies = false): void {
    this.#carried.clear();
    this.#copies = copies;
    this.#start = inHand && { ...inHand.position };
    const own = new Set(dragged.map((node) => node.id));
    for (const node of dragged) {
      const item = itemOf(node.id);
      if (item.list !== "groups") continue;
      const members = new Set(this.actions.members(item.index));
      for (const { id, position } of this.canvas.nodes) if (members.has(id) && !own.has(id)) this.#carried.set(id, position);
    }
  }

  move(inHand: FlowNode | null): void {
    if (this.#carried.size === 0 || !this.#start || !inHand) return;
    const [x, y] = [inHand.position.x - this.#start.x, inHand.position.y - this.#start.y];
    this.canvas.nodes = this.canvas.nodes.map((node) => {
      const from = this.#carried.get(node.id);
      return from ? { ...node, position: { x: from.x + x, y: from.y + y } } : node;
    });
  }

  stop(dragged: readonly FlowNode[]): void {
    const own = new Set(dragged.map((node) => node.id));
    const moved = this.canvas.nodes.filter((node) => own.has(node.id) || this.#carried.has(node.id));
    if (this.#copies) {
      const { x, y } = bounds(moved.map(boxOf));
      this.actions.duplicate([x, y]);
      this.canvas.sync(); // what was dragged is back where the document has it
    } else this.actions.place(moved);
    this.#carried.clear();
    this.#start = null;
  }
}
