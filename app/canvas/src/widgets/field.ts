/** What every kind of widget is given, whatever it looks like. */

import type { Json, SettingKind } from "../lib/types";
import type { Chosen } from "./choose";

export interface FieldProps {
  /** Of the element its label names. */
  id: string;
  node: string;
  setting: SettingKind;
  chosen: Chosen;
  /** What the setting is in words, for parts a label cannot name. */
  label: string;
  value: Json | undefined;
  /** Inside a node: small, and quick with hundreds of them. */
  compact: boolean;
  disabled: boolean;
  invalid: boolean;
  /** Ids of the sentences about it. */
  describedby: string | undefined;
  commit: (value: Json) => void;
  /** Say what is wrong with what is being typed; empty takes it back. */
  say: (hint: string) => void;
}

/** `at_least` as "At least". */
export function words(name: string): string {
  const text = name.replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Whether a value can be shown by the widget its schema asks for; else it is shown as JSON, so that nothing is lost. */
export function showable(value: Json | undefined, { kind, items, fixed }: Chosen): boolean {
  if (value === undefined) return true;
  switch (kind) {
    case "number":
    case "seed":
      return typeof value === "number";
    case "switch":
      return typeof value === "boolean";
    case "choice":
    case "json":
      return true;
    case "list":
    case "curve":
      if (!Array.isArray(value) || (fixed && value.length !== items.length)) return false;
      return value.every((item, at) => item !== null && showable(item, items[fixed ? at : 0]!));
    default:
      return typeof value === "string";
  }
}
