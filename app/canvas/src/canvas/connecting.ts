/** Dragging wires: from a port to another, off an input, onto a node, or into empty space. */

import type { Kinds } from "../lib/catalog";
import { either, openInputs, openOutputs } from "../lib/rule";
import type { Wire } from "../lib/types";
import type { Actions } from "./actions";
import { nodeOf } from "./ids";
import type { CanvasState, Place, PortRef } from "./state.svelte";
import { wireBetween } from "./state.svelte";

/** What Svelte Flow tells of a port. */
interface Handle {
  nodeId: string | null;
  id?: string | null;
  handleId?: string | null;
  type?: string;
  handleType?: string | null;
}

interface Ends {
  source: string;
  sourceHandle?: string | null;
  target: string;
  targetHandle?: string | null;
}

function portOf(handle: Handle): PortRef {
  const port = handle.handleId ?? handle.id ?? "";
  return { node: nodeOf(handle.nodeId ?? ""), port: nodeOf(port), side: (handle.handleType ?? handle.type) === "source" ? "out" : "in" };
}

export class Connector {
  /** Taken off its input by the press that is about to become a drag. */
  #detached: Wire | null = null;

  constructor(
    readonly canvas: CanvasState,
    readonly actions: Actions,
    readonly kinds: Kinds,
  ) {}

  /** A press on an input that has a wire takes its end in hand: the drag goes on from the wire's output. */
  pressed(event: MouseEvent, root: HTMLElement): void {
    const handle = (event.target as Element).closest<HTMLElement>("[data-port]");
    if (!handle || event.button !== 0 || handle.dataset.side !== "in") return;
    const port = refOf(handle);
    const wire = this.canvas.wiresAt(port).at(-1);
    const begin = wire && root.querySelector(`[data-port="${CSS.escape(wire[0])}"][data-side="out"]`);
    if (!wire || !begin) return;
    event.stopPropagation();
    event.preventDefault();
    this.#detached = wire;
    const forget = () => (this.#detached = null);
    window.addEventListener("mouseup", () => setTimeout(forget), { once: true });
    begin.dispatchEvent(new MouseEvent("mousedown", { clientX: event.clientX, clientY: event.clientY, button: 0, bubbles: true }));
  }

  start(handle: Handle): void {
    this.actions.app.ui.dismissPlaced();
    this.canvas.connecting = { ...portOf(handle), detached: this.#detached };
  }

  /** By the same rule that draws the wire. */
  isValid({ source, sourceHandle, target, targetHandle }: Ends): boolean {
    const { connecting } = this.canvas;
    if (!connecting) return false;
    const other = connecting.side === "out" ? { nodeId: target, id: targetHandle, type: "target" } : { nodeId: source, id: sourceHandle, type: "source" };
    return this.canvas.fitsConnecting(portOf(other)) === true;
  }

  end(event: MouseEvent | TouchEvent, near: Handle | null): void {
    const from = this.canvas.connecting;
    this.canvas.connecting = null;
    this.#detached = null;
    if (!from) return;
    const at = placeOf(event);
    const under = document.elementFromPoint(at.x, at.y);
    const handle = under?.closest<HTMLElement>("[data-port]");
    const node = under?.closest<HTMLElement>("[data-node-id]")?.dataset.nodeId;
    const port = handle ? refOf(handle) : near && !node ? portOf(near) : null;
    if (port) this.#ontoPort(from, port, from.detached, at);
    else if (node !== undefined && node !== from.node) this.#ontoNode(from, node, near, at);
    else if (node === undefined) this.#intoSpace(from, from.detached, at);
  }

  #ontoPort(from: PortRef, to: PortRef, detached: Wire | null, at: Place): void {
    if (from.side === to.side) {
      if (from.node !== to.node || from.port !== to.port) this.#say("A wire leads from an output to an input.", at);
      return;
    }
    this.#say(this.actions.connect(wireBetween(from, to), detached), at);
  }

  #ontoNode(from: PortRef & { detached: Wire | null }, node: string, near: Handle | null, at: Place): void {
    const { content } = this.actions;
    const ports = from.side === "out" ? openInputs(content, this.kinds, from, node) : openOutputs(content, this.kinds, node, from);
    const nearest = near && portOf(near);
    const chosen = ports.find((port) => nearest?.node === node && port.name === nearest.port) ?? ports[0];
    if (chosen) {
      this.#ontoPort(from, { node, port: chosen.name, side: from.side === "out" ? "in" : "out" }, from.detached, at);
      return;
    }
    const types = either(this.canvas.typesOf(from));
    const sentence = from.side === "out" ? `${from.node} gives ${types}; ${node} has no input for it.` : `${from.node}.${from.port} takes ${types}; ${node} gives none.`;
    this.#say(sentence, at);
  }

  #intoSpace(from: PortRef, detached: Wire | null, at: Place): void {
    if (detached) this.actions.cut([detached]);
    else this.canvas.open = { kind: "search", at, point: this.actions.toFlow(at), from };
  }

  #say(reason: string | null, at: Place): void {
    if (reason) this.actions.app.ui.toast(reason, { at, tone: "error" });
  }
}

function refOf(handle: HTMLElement): PortRef {
  const text = handle.dataset.port ?? "";
  const dot = text.lastIndexOf(".");
  return { node: text.slice(0, dot), port: text.slice(dot + 1), side: handle.dataset.side === "out" ? "out" : "in" };
}

function placeOf(event: MouseEvent | TouchEvent): Place {
  const touch = "changedTouches" in event ? event.changedTouches[0] : event;
  return { x: touch?.clientX ?? 0, y: touch?.clientY ?? 0 };
}
