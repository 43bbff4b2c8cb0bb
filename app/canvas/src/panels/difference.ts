/** A difference of two workflows as lines a person reads, and their pictures in pairs. */

import type { Difference, Json, Run } from "../lib/types";

export interface Row {
  kind: "setting" | "node" | "type" | "mode" | "wire" | "name";
  where: string;
  before: string;
  after: string;
}

/** Settings first: they are what most runs differ in. Names last: they alone are no difference. */
export function rows(difference: Difference): Row[] {
  const mode = (value: string | null) => ({ mute: "muted", bypass: "bypassed" })[value ?? ""] ?? "runs";
  return [
    ...difference.changed.map(({ node, setting, before, after }) =>
      row("setting", `${node} · ${setting}`, written(before), written(after)),
    ),
    ...difference.added.map(({ node, type }) => row("node", node, "", type)),
    ...difference.removed.map(({ node, type }) => row("node", node, type, "")),
    ...difference.retyped.map(({ node, before, after }) => row("type", node, before, after)),
    ...difference.modes.map(({ node, before, after }) => row("mode", node, mode(before), mode(after))),
    ...difference.wires_added.map(([from, to]) => row("wire", `${from} → ${to}`, "", "wired")),
    ...difference.wires_removed.map(([from, to]) => row("wire", `${from} → ${to}`, "wired", "")),
    ...difference.renamed.map(({ before, after }) => row("name", after, before, after)),
  ];
}

function row(kind: Row["kind"], where: string, before: string, after: string): Row {
  return { kind, where, before, after };
}

function written(value: Json | undefined): string {
  if (value === undefined) return "not set";
  return typeof value === "string" ? value || "(empty)" : JSON.stringify(value);
}

/** Indices of the pictures first shown side by side: of the same node where both have one, else the last of each. */
export function firstPair(a: Run["pictures"], b: Run["pictures"]): [number, number] {
  for (let at = a.length - 1; at >= 0; at--) {
    const same = b.findLastIndex((picture) => picture.node === a[at].node);
    if (same >= 0) return [at, same];
  }
  return [a.length - 1, b.length - 1];
}
