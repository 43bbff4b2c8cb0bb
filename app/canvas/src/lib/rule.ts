/** Which wires may be drawn: from an output to an input that takes its type, never in a circle. */

import type { Kinds } from "./catalog";
import type { Content, InputKind, NodeKind, OutputKind, Wire } from "./types";
import { type End, end, isWire, source, target } from "./wires";

export function kindOf(content: Content, kinds: Kinds, node: string): NodeKind | undefined {
  const type = content.nodes[node]?.type;
  return type === undefined ? undefined : kinds.get(type);
}

export function outputOf(content: Content, kinds: Kinds, { node, port }: End): OutputKind | undefined {
  return kindOf(content, kinds, node)?.outputs.find((output) => output.name === port);
}

export function inputOf(content: Content, kinds: Kinds, { node, port }: End): InputKind | undefined {
  return kindOf(content, kinds, node)?.inputs.find((input) => input.name === port);
}

/** Why the wire may not be drawn, in a sentence; null where it may. */
export function refusal(content: Content, kinds: Kinds, wire: Wire): string | null {
  const [from, to] = [source(wire), target(wire)];
  const output = outputOf(content, kinds, from);
  const input = inputOf(content, kinds, to);
  if (!output) return `What ${wire[0]} gives is not known here, so nothing can be wired to it.`;
  if (!input) return `What ${wire[1]} takes is not known here, so nothing can be wired to it.`;
  if (!kinds.fits(output, input)) {
    return `${wire[0]} gives ${either(output.types)}; ${wire[1]} takes ${either(input.types)}.`;
  }
  if (from.node === to.node) return `${from.node} cannot be wired to itself.`;
  if (leadsTo(content, to.node, from.node)) {
    return `${to.node} already leads to ${from.node}; wires cannot go in a circle.`;
  }
  return null;
}

/** The wires a new one takes the place of: an input takes one, unless it takes many. */
export function replacedBy(content: Content, kinds: Kinds, wire: Wire): Wire[] {
  if (inputOf(content, kinds, target(wire))?.many) return [];
  return content.wires.filter((other) => isWire(other) && other[1] === wire[1] && other[0] !== wire[0]);
}

/** Inputs of a node a wire from `from` may end at, those without a wire first. */
export function openInputs(content: Content, kinds: Kinds, from: End, node: string): InputKind[] {
  const inputs = kindOf(content, kinds, node)?.inputs ?? [];
  const wired = new Set(content.wires.filter(isWire).map((wire) => wire[1]));
  const free = (input: InputKind) => input.many || !wired.has(end(node, input.name));
  const fitting = inputs.filter((input) => refusal(content, kinds, [end(from.node, from.port), end(node, input.name)]) === null);
  return [...fitting.filter(free), ...fitting.filter((input) => !free(input))];
}

/** Outputs of a node a wire into `to` may begin at. */
export function openOutputs(content: Content, kinds: Kinds, node: string, to: End): OutputKind[] {
  const outputs = kindOf(content, kinds, node)?.outputs ?? [];
  return outputs.filter((output) => refusal(content, kinds, [end(node, output.name), end(to.node, to.port)]) === null);
}

/** Whether the wires lead from one node to another. */
export function leadsTo(content: Content, from: string, to: string): boolean {
  const next = new Map<string, string[]>();
  for (const wire of content.wires.filter(isWire)) {
    const known = next.get(source(wire).node);
    if (known) known.push(target(wire).node);
    else next.set(source(wire).node, [target(wire).node]);
  }
  const seen = new Set([from]);
  const waiting = [from];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node === to) return true;
    for (const other of next.get(node) ?? []) {
      if (seen.has(other)) continue;
      seen.add(other);
      waiting.push(other);
    }
  }
  return false;
}

export function either(types: readonly string[]): string {
  return types.join(" or ");
}
