/** What becomes of seeds after a run was submitted. */

import { editNode } from "./content";
import type { Content, Json, NodeKind, SeedRule } from "./types";

/** Seeds go from 0 to what JavaScript and JSON hold exactly, or to the setting's own limit. */
const LARGEST = Number.MAX_SAFE_INTEGER;
/** New random seeds stay short enough to be read aloud. */
const DRAWN = 2 ** 32;

export function nextSeed(value: Json | undefined, rule: SeedRule, largest = LARGEST, draw = Math.random): Json | undefined {
  if (rule === "random") return Math.floor(draw() * Math.min(DRAWN, largest + 1));
  if (rule === "increment" && typeof value === "number") return value >= largest ? 0 : value + 1;
  return value;
}

/** The content with each seed as its rule has it; itself where no seed changes. */
export function advanceSeeds(content: Content, kind: (type: string) => NodeKind | undefined): Content {
  let result = content;
  for (const [id, entry] of Object.entries(content.nodes)) {
    for (const [name, rule] of Object.entries(entry.seeds ?? {})) {
      const setting = kind(entry.type)?.settings.find((each) => each.name === name);
      const value = entry.settings?.[name] ?? setting?.default;
      const next = nextSeed(value, rule, Math.min(setting?.schema.maximum ?? LARGEST, LARGEST));
      if (next === undefined || next === value) continue;
      result = editNode(result, id, { settings: { ...result.nodes[id]!.settings, [name]: next } });
    }
  }
  return result;
}
