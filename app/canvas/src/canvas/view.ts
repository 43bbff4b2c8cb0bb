/** What of the canvas is on the screen, and where the keyboard's focus is. */

import type { useSvelteFlow } from "@xyflow/svelte";
import { tick } from "svelte";
import type { Point } from "../lib/content";
import type { Box } from "../lib/layout";
import type { View } from "./commands";
import { flowId } from "./ids";
import { type FlowEdge, type FlowNode, NODE_WIDTH } from "./project";
import { boxOf, type CanvasState, type Place, type PortRef } from "./state.svelte";

type Flow = ReturnType<typeof useSvelteFlow<FlowNode, FlowEdge>>;

/** Nodes are never shown larger than they are because they are few. */
const FITTED = { maxZoom: 1, minZoom: 0.1, padding: 0.08 };
/** A node's port is about so far below its upper edge. */
const PORT = 46;

/** Ways from the middle, nearest first. */
const SPIRAL: readonly Point[] = Array.from({ length: 21 * 21 }, (_, index): Point => [((index % 21) - 10) * 70, (Math.floor(index / 21) - 10) * 60])
  .sort((a, b) => Math.hypot(...a) - Math.hypot(...b));

export interface CanvasView extends View {
  /** The place on the canvas in the middle of what is seen. */
  middle(): Point;
  /** Near the middle, where there is room for a node. */
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
      const [x, y] = middle();
      const boxes = canvas.nodes.filter((node) => node.type !== "frame").map(boxOf);
      const spots = SPIRAL.map(([right, down]): Point => [Math.round(x - NODE_WIDTH / 2 + right), Math.round(y - 120 + down)]);
      const isFree = ([left, top]: Point) => boxes.every((box) => !overlap(box, { x: left, y: top, width: NODE_WIDTH, height: 200 }));
      return spots.find(isFree) ?? spots[boxes.length % spots.length]!;
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

function overlap(a: Box, b: Box): boolean {
  const apart = 12;
  return a.x < b.x + b.width + apart && b.x < a.x + a.width + apart && a.y < b.y + b.height + apart && b.y < a.y + a.height + apart;
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
