/** Handing files to the person at the page. */

import type { Content, NodeState, Output } from "./types";

type Picture = Extract<Output, { kind: "image" }>;

export function downloadText(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  downloadFrom(address, name);
  // Some browsers read the address only after the click was dealt with.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export function downloadFrom(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

/** As it is saved, for reading and for a diff. */
export function asText(content: Content): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

export function fileName(title: string, ending: string): string {
  return `${title.replace(/[\\/:*?"<>|]+/g, "-").trim() || "workflow"}.${ending}`;
}

/** The picture a job made last: one that was saved whole, if any was. */
export function lastPicture(states: Iterable<NodeState>): Picture | null {
  const pictures = Array.from(states).flatMap((state) => state.outputs.filter((output) => output.kind === "image"));
  return pictures.findLast((picture) => picture.full !== null) ?? pictures.at(-1) ?? null;
}
