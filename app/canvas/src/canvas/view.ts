/** What of the canvas is on the screen, and where the keyboard's focus is. */

import type { useSvelteFlow } from "@xyflow/svelte";
import { tick } from "svelte";
import type { Point } from "../lib/content";
import type { View } from "./commands";
import { flowId } from "./ids";
import { type FlowEdge, type FlowNode, NODE_WIDTH } from "./project";
import type { CanvasState, Place, PortRef } from "./state.svelte";

type Flow = ReturnType<typeof useSvelteFlow<FlowNode, FlowEdge>>;

/** Nodes are never shown larger than they are because they are few. */
const FITTED = { maxZoom: 1, minZoom: 0.1, padding: 0.08 };
/** A node's port is about so far below its upper edge. */
const PORT = 46;

export interface CanvasView extends View {
  /** The place on the canvas in the middle of what is seen. */
  middle(): Point;
  /** Near the middle, where no other node's corner is. */
  free(): Point;
  /** Where a new node goes whose port is to come to lie at a place. */
  beside(at: Point, from: PortRef | null): Point;
}

export function view(root: () => HTMLElement, flow: Flow, canvas: CanvasState): CanvasView {
  const element = (node: string) => root().querySelector<HTMLElement>(`.svelte-flow__node[data-id="${CSS.escape(flowId(node))}"]`);
  const centre = (): Place => {
    const { left, top, width, height } = root().getBoundingClientRect();
    return { x: left + width / 2, y: top + height / 2 };
  };
  const middle = (): Point => {
    const { x, y } = flow.screenToFlowPosition(centre());
    return [x, y];
  };

  return {
    middle,

    free() {
      const corners = new Set(canvas.nodes.map(({ position }) => `${Math.round(position.x)},${Math.round(position.y)}`));
      let [x, y] = middle().map(Math.round) as Point;
      x -= NODE_WIDTH / 2;
      while (corners.has(`${x},${y}`)) [x, y] = [x + 30, y + 30];
      return [x, y];
    },

    beside([x, y], from) {
      if (!from) return [x - 24, y - 14];
      return [from.side === "out" ? x : x - NODE_WIDTH, y - PORT];
    },

    fit(nodes = []) {
      void flow.fitView({ ...FITTED, ...(nodes.length > 0 ? { nodes: nodes.map((node) => ({ id: flowId(node) })) } : {}) });
    },

    zoomBy(factor) {
      void flow.setZoom(flow.getZoom() * factor);
    },

    zoomTo(zoom) {
      void flow.setZoom(zoom);
    },

    focus() {
      root().focus({ preventScroll: true });
    },

    place(node) {
      const box = node === undefined ? null : element(node)?.getBoundingClientRect();
      return box ? { x: box.left + 24, y: Math.max(box.top + 34, 0) } : centre();
    },

    goTo(node) {
      canvas.document.select([node]);
      void shown(() => element(node)).then((found) => {
        found?.focus({ preventScroll: true });
        if (!found || isSeen(found, root())) return;
        const { x, y } = canvas.boxes([node]).get(node) ?? { x: 0, y: 0 };
        void flow.setCenter(x + NODE_WIDTH / 2, y + 80, { zoom: flow.getZoom() });
      });
    },

    into(node) {
      const field = element(node)?.querySelector<HTMLElement>(".settings :is(input, textarea, select, button, [tabindex='0'])");
      field?.focus();
    },
  };
}

/** The element as soon as Svelte Flow has measured it: before, it is hidden and takes no focus. */
async function shown(find: () => HTMLElement | null): Promise<HTMLElement | null> {
  await tick();
  for (let frame = 0; frame < 10; frame++) {
    const found = find();
    if (found && found.style.visibility !== "hidden") return found;
    await new Promise(requestAnimationFrame);
  }
  return null;
}

function isSeen(element: HTMLElement, root: HTMLElement): boolean {
  const [inner, outer] = [element.getBoundingClientRect(), root.getBoundingClientRect()];
  return inner.left >= outer.left && inner.right <= outer.right && inner.top >= outer.top && inner.top + 40 <= outer.bottom;
}
