/** Names of things on the canvas: nodes by their own names, groups, notes and bends by their place in the file's lists. */

import type { Marked } from "../lib/document.svelte";

export type ListName = keyof Marked;

export type Item = { list: "nodes"; node: string } | { list: ListName; index: number };

const LISTED = /^%(groups|notes|reroutes)\.(\d+)$/;

/** Svelte Flow looks handles up by selectors that end at quotes; "%" makes room for what is no node. */
export function flowId(node: string): string {
  return node.replace(/[%"\\]/g, encodeURIComponent);
}

export function nodeOf(id: string): string {
  return id.replace(/%(25|22|5C)/g, decodeURIComponent);
}

export function itemId(list: ListName, index: number): string {
  return `%${list}.${index}`;
}

export function itemOf(id: string): Item {
  const listed = LISTED.exec(id);
  return listed ? { list: listed[1] as ListName, index: Number(listed[2]) } : { list: "nodes", node: nodeOf(id) };
}
