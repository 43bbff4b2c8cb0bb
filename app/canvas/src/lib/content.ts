/** Edits of a workflow as functions: each gives a new content that shares with the old all it did not change. */

import type { Content, Group, Json, Mode, NodeEntry, Note, Reroute, SeedRule, Wire } from "./types";
import { isWire, key, same, source, target } from "./wires";

export type Point = [number, number];

export const FORMAT = 1;

export function empty(): Content {
  return { format: FORMAT, nodes: {}, wires: [] };
}

// ---------------------------------------------------------------- nodes

/** A readable name no node has yet: `encode_prompt`, then `encode_prompt_2`. */
export function freshId(wanted: string, taken: (id: string) => boolean): string {
  if (!taken(wanted)) return wanted;
  const base = wanted.replace(/_\d+$/, "");
  let number = 2;
  while (taken(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
}

export function addNode(content: Content, id: string, entry: NodeEntry): Content {
  return { ...content, nodes: { ...content.nodes, [id]: entry } };
}

/** Keys given as undefined are taken out. A node that is not there is left so. */
export function editNode(content: Content, id: string, change: Partial<NodeEntry>): Content {
  const entry = content.nodes[id];
  if (!entry) return content;
  return { ...content, nodes: { ...content.nodes, [id]: changed(entry, change) } };
}

function changed<T extends object>(item: T, change: Partial<T>): T {
  const entries = Object.entries({ ...item, ...change }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as T;
}

export function editNodes(content: Content, ids: Iterable<string>, change: (entry: NodeEntry) => Partial<NodeEntry>): Content {
  const nodes = { ...content.nodes };
  let any = false;
  for (const id of ids) {
    const entry = nodes[id];
    if (!entry) continue;
    nodes[id] = changed(entry, change(entry));
    any = true;
  }
  return any ? { ...content, nodes } : content;
}

export function removeNodes(content: Content, ids: Iterable<string>): Content {
  const gone = new Set(ids);
  const nodes = Object.fromEntries(Object.entries(content.nodes).filter(([id]) => !gone.has(id)));
  const kept = content.wires.filter((wire) => !isWire(wire) || !(gone.has(source(wire).node) || gone.has(target(wire).node)));
  const edited = withoutView({ ...content, nodes }, gone);
  return kept.length === content.wires.length ? edited : withWires(edited, kept);
}

/** What the plain form shows of nodes that are gone. */
function withoutView(content: Content, gone: ReadonlySet<string>): Content {
  const app = content.app;
  if (!app) return content;
  const inputs = app.inputs.filter(({ setting }) => !gone.has(setting.slice(0, setting.lastIndexOf("."))));
  const outputs = app.outputs.filter(({ node }) => !gone.has(node));
  if (inputs.length === app.inputs.length && outputs.length === app.outputs.length) return content;
  return { ...content, app: { ...app, inputs, outputs } };
}

export function setSetting(content: Content, node: string, setting: string, value: Json): Content {
  const entry = content.nodes[node];
  return entry ? editNode(content, node, { settings: { ...entry.settings, [setting]: value } }) : content;
}

export function clearSetting(content: Content, node: string, setting: string): Content {
  const entry = content.nodes[node];
  if (!entry?.settings || !(setting in entry.settings)) return content;
  const { [setting]: _, ...settings } = entry.settings;
  return editNode(content, node, { settings });
}

export function setSeedRule(content: Content, node: string, setting: string, rule: SeedRule): Content {
  const entry = content.nodes[node];
  if (!entry) return content;
  const { [setting]: _, ...others } = entry.seeds ?? {};
  const seeds = rule === "fixed" ? others : { ...others, [setting]: rule };
  return editNode(content, node, { seeds: Object.keys(seeds).length > 0 ? seeds : undefined });
}

export function setMode(content: Content, ids: Iterable<string>, mode: Mode | null): Content {
  return editNodes(content, ids, () => ({ mode: mode ?? undefined }));
}

// ---------------------------------------------------------------- wires

/** With other wires; bends that no wire passes any more go with their wires. */
export function withWires(content: Content, wires: Wire[]): Content {
  const edited: Content = { ...content, wires };
  if (!content.reroutes?.length) return edited;
  const kept = new Set(wires.filter(isWire).map(key));
  const gone = new Set(content.wires.filter(isWire).map(key).filter((wire) => !kept.has(wire)));
  if (gone.size === 0) return edited;
  const reroutes = content.reroutes.flatMap((reroute) => {
    const left = reroute.wires.filter((wire) => !gone.has(key(wire)));
    if (left.length === reroute.wires.length) return [reroute];
    return left.length > 0 ? [{ ...reroute, wires: left }] : [];
  });
  return { ...edited, reroutes };
}

export function addWire(content: Content, wire: Wire, replaces: readonly Wire[] = []): Content {
  const kept = content.wires.filter((other) => !same(other, wire) && !replaces.some((gone) => same(gone, other)));
  return withWires(content, [...kept, wire]);
}

export function removeWires(content: Content, wires: readonly Wire[]): Content {
  return withWires(content, content.wires.filter((other) => !wires.some((gone) => same(gone, other))));
}

// ---------------------------------------------------------------- groups, notes, reroutes: lists without names

type Lists = { groups: Group; notes: Note; reroutes: Reroute };

export function addTo<K extends keyof Lists>(content: Content, list: K, item: Lists[K]): Content {
  return { ...content, [list]: [...(content[list] ?? []), item] };
}

/** Keys given as undefined are taken out. */
export function editIn<K extends keyof Lists>(content: Content, list: K, index: number, change: Partial<Lists[K]>): Content {
  const items = (content[list] ?? []) as Lists[K][];
  return { ...content, [list]: items.map((item, at) => (at === index ? changed(item, change) : item)) };
}

export function removeFrom(content: Content, list: keyof Lists, indices: ReadonlySet<number>): Content {
  if (indices.size === 0) return content;
  return { ...content, [list]: ((content[list] ?? []) as unknown[]).filter((_, at) => !indices.has(at)) };
}

// ---------------------------------------------------------------- places

/** New places of nodes by name, and of listed items by their place in the list. */
export interface Moves {
  nodes: ReadonlyMap<string, Point>;
  groups: ReadonlyMap<number, Point>;
  notes: ReadonlyMap<number, Point>;
  reroutes: ReadonlyMap<number, Point>;
}

export function move(content: Content, moves: Partial<Moves>): Content {
  let result = content;
  for (const list of ["groups", "notes", "reroutes"] as const) {
    for (const [index, at] of moves[list] ?? []) result = editIn(result, list, index, { at });
  }
  if (!moves.nodes?.size) return result;
  const nodes = { ...result.nodes };
  for (const [id, at] of moves.nodes) if (nodes[id]) nodes[id] = { ...nodes[id], at };
  return { ...result, nodes };
}
