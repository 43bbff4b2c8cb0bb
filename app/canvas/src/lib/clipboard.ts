/** Parts of a workflow as text: what is copied is itself a workflow, so that it can be read, mailed, edited and opened. */

import { type Point, freshId } from "./content";
import type { Content, Group, NodeEntry, Note, Reroute, Wire } from "./types";
import { end, isWire, key, source, target } from "./wires";
import type { Marked } from "./document.svelte";

/** A key of its own, so that it is left out where the text is opened as a file: wires into the part from outside. */
const INCOMING = "incoming";

/** The nodes and marked items with the wires among them; wires from outside under `incoming`. */
export function part(content: Content, nodes: readonly string[], marked: Marked): Content {
  const inside = new Set(nodes);
  const wires = content.wires.filter(isWire).filter((wire) => inside.has(target(wire).node));
  const within = wires.filter((wire) => inside.has(source(wire).node));
  const incoming = wires.filter((wire) => !inside.has(source(wire).node));
  const kept = new Set(within.map(key));
  const reroutes = (content.reroutes ?? [])
    .map((reroute) => ({ ...reroute, wires: reroute.wires.filter((wire) => kept.has(key(wire))) }))
    .filter((reroute) => reroute.wires.length > 0);
  return {
    format: content.format,
    nodes: Object.fromEntries(Object.entries(content.nodes).filter(([id]) => inside.has(id))),
    wires: within,
    ...some("groups", marked.groups.flatMap((at) => content.groups?.[at] ?? [])),
    ...some("notes", marked.notes.flatMap((at) => content.notes?.[at] ?? [])),
    ...some("reroutes", reroutes),
    ...some(INCOMING, incoming),
  };
}

function some<T>(name: string, list: T[]): Record<string, T[]> {
  return list.length > 0 ? { [name]: list } : {};
}

/** The workflow in a text, or null where it holds none. */
export function read(text: string): Content | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(found) || !isObject(found.nodes)) return null;
  const nodes = Object.entries(found.nodes).filter(([, entry]) => isObject(entry) && typeof entry.type === "string");
  if (nodes.length === 0 && !Array.isArray(found.notes) && !Array.isArray(found.groups)) return null;
  const wires = Array.isArray(found.wires) ? found.wires : [];
  return { ...found, format: 1, nodes: Object.fromEntries(nodes) as Record<string, NodeEntry>, wires };
}

export interface Inserted {
  content: Content;
  nodes: string[];
  marked: Marked;
}

/** The part put into the workflow under new names, its upper left corner at `corner`. */
export function insert(content: Content, added: Content, corner: Point, withIncoming = false): Inserted {
  const nodes = { ...content.nodes };
  const names = new Map<string, string>();
  const [x, y] = offset(added, corner);
  const moved = ([left, top]: Point): Point => [Math.round(left + x), Math.round(top + y)];
  for (const [id, entry] of Object.entries(added.nodes)) {
    const name = freshId(id, (taken) => taken in nodes);
    names.set(id, name);
    nodes[name] = { ...entry, at: moved(entry.at ?? [0, 0]) };
  }
  const renamed = (wire: Wire): Wire => {
    const [from, to] = [source(wire), target(wire)];
    return [end(names.get(from.node) ?? from.node, from.port), end(names.get(to.node)!, to.port)];
  };
  const within = added.wires.filter(isWire).filter((wire) => names.has(source(wire).node) && names.has(target(wire).node));
  const listed = added[INCOMING];
  const incoming = withIncoming && Array.isArray(listed) ? listed.filter(isWire) : [];
  const outside = incoming.filter((wire) => names.has(target(wire).node) && source(wire).node in content.nodes);
  const groups = list<Group>(added.groups).map((group) => ({ ...group, at: moved(group.at) }));
  const notes = list<Note>(added.notes).map((note) => ({ ...note, at: moved(note.at) }));
  const kept = new Set(within.map(key));
  const reroutes = list<Reroute>(added.reroutes).map((reroute) => ({
    at: moved(reroute.at),
    wires: reroute.wires.filter((wire) => kept.has(key(wire))).map(renamed),
  }));
  return {
    content: {
      ...content,
      nodes,
      wires: [...content.wires, ...within.map(renamed), ...outside.map(renamed)],
      ...extended("groups", content.groups, groups),
      ...extended("notes", content.notes, notes),
      ...extended("reroutes", content.reroutes, reroutes),
    },
    nodes: [...names.values()],
    marked: {
      groups: groups.map((_, at) => (content.groups?.length ?? 0) + at),
      notes: notes.map((_, at) => (content.notes?.length ?? 0) + at),
      reroutes: reroutes.map((_, at) => (content.reroutes?.length ?? 0) + at),
    },
  };
}

function extended<T>(name: string, before: T[] | undefined, added: T[]): Record<string, T[]> {
  return added.length > 0 ? { [name]: [...(before ?? []), ...added] } : {};
}

function offset(added: Content, corner: Point): Point {
  const places = [
    ...Object.values(added.nodes).map((entry) => entry.at ?? ([0, 0] as Point)),
    ...list<Group>(added.groups).map((group) => group.at),
    ...list<Note>(added.notes).map((note) => note.at),
  ];
  if (places.length === 0) return corner;
  const left = Math.min(...places.map(([x]) => x));
  const top = Math.min(...places.map(([, y]) => y));
  return [corner[0] - left, corner[1] - top];
}

function list<T>(value: unknown): T[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
