/** A group that is dragged carries what lies in it; a whole drag is one step to undo. */

import type { Actions } from "./actions";
import { itemOf } from "./ids";
import type { FlowNode } from "./project";
import type { CanvasState, Place } from "./state.svelte";

export class Carrier {
  /** Where the carried things, and the thing in hand, were at the start. */
  #carried = new Map<string, Place>();
  #start: Place | null = null;

  constructor(
    readonly canvas: CanvasState,
    readonly actions: Actions,
  ) {}

  start(inHand: FlowNode | null, dragged: readonly FlowNode[]): void {
    this.#carried.clear();
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
    this.actions.place(this.canvas.nodes.filter((node) => own.has(node.id) || this.#carried.has(node.id)));
    this.#carried.clear();
    this.#start = null;
  }
}
