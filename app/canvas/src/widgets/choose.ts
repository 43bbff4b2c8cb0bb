/** Which widget a setting gets, by its JSON schema. */

import type { Json, Schema, SettingKind } from "../lib/types";
import { clamp, limits } from "./numbers";

export type WidgetKind =
  "number" | "seed" | "switch" | "choice" | "line" | "text" | "input" | "model" | "list" | "curve" | "json";

export interface Chosen {
  kind: WidgetKind;
  /** The part of the schema that describes a value, without the null. */
  schema: Schema;
  /** Null is a value too: "off". */
  nullable: boolean;
  /** Of a choice. */
  choices: Json[];
  /** Of a list: what each item is, or, of a list of fixed length, the first, the second and so on. */
  items: Chosen[];
  fixed: boolean;
}

const chosenBefore = new WeakMap<SettingKind, Chosen>();

export function choose(setting: SettingKind): Chosen {
  let chosen = chosenBefore.get(setting);
  if (!chosen) {
    chosen = chooseFor(setting.schema, setting.reads, (setting.schema.$defs ?? {}) as Record<string, Schema>);
    chosenBefore.set(setting, chosen);
  }
  return chosen;
}

function chooseFor(given: Schema, reads: string | null, definitions: Record<string, Schema>): Chosen {
  const whole = resolved(given, definitions);
  const parts = (whole.anyOf ?? []).map((part) => resolved(part, definitions));
  const values = parts.filter((part) => part.type !== "null");
  const nullable = values.length < parts.length;
  const schema = parts.length === 0 ? whole : merged(values, whole);
  const chosen: Chosen = { kind: "json", schema, nullable, choices: choicesOf(schema), items: [], fixed: false };
  if (chosen.choices.length > 0) chosen.kind = "choice";
  else if (schema.type === "boolean") chosen.kind = "switch";
  else if (schema.type === "integer" || schema.type === "number")
    chosen.kind = schema.format === "seed" ? "seed" : "number";
  else if (schema.type === "string") chosen.kind = textKind(schema, reads);
  else if (schema.type === "array") {
    const fixed = schema.prefixItems as Schema[] | undefined;
    const items = (fixed ?? (schema.items ? [schema.items] : [])).map((item) => chooseFor(item, reads, definitions));
    if (items.length > 0 && items.every((item) => isPlain(item)))
      Object.assign(chosen, { kind: isCurve(schema, items) ? "curve" : "list", items, fixed: Boolean(fixed) });
  }
  return chosen;
}

function textKind(schema: Schema, reads: string | null): WidgetKind {
  if (reads === "input") return "input";
  if (reads === "models") return "model";
  return schema.format === "textarea" ? "text" : "line";
}

/** Whether it fits on a line of a list; lists in lists are only taken where the inner have a fixed length. */
function isPlain(item: Chosen): boolean {
  return (
    item.kind !== "json" && (item.kind !== "list" || (item.fixed && item.items.every((part) => part.kind !== "list")))
  );
}

/** Points that lie on a curve: pairs of numbers. */
function isCurve(schema: Schema, items: readonly Chosen[]): boolean {
  const pair = items[0]!;
  const numbers = pair.items.filter(({ kind }) => kind === "number");
  return schema.format === "curve" && pair.fixed && pair.items.length === 2 && numbers.length === 2;
}

function resolved(schema: Schema, definitions: Record<string, Schema>): Schema {
  const reference = schema.$ref;
  if (typeof reference !== "string") return schema;
  const { $ref: _, ...rest } = schema;
  return { ...definitions[reference.slice(reference.lastIndexOf("/") + 1)], ...rest };
}

/** Several kinds of value as one schema, where one widget takes them all; else `{}`, which any JSON fits. */
function merged(values: Schema[], whole: Schema): Schema {
  const about = { description: whole.description, ...(whole.default == null ? {} : { default: whole.default }) };
  if (values.length === 1) return { ...about, ...(whole.format ? { format: whole.format } : {}), ...values[0] };
  if (values.every((part) => choicesOf(part).length > 0)) return { ...about, enum: values.flatMap(choicesOf) };
  return {};
}

function choicesOf(schema: Schema): Json[] {
  if (schema.const !== undefined) return [schema.const];
  return schema.enum ?? [];
}

/** What a setting begins with that has no value yet, or that was off. */
export function firstValue({ kind, schema, choices, items, fixed }: Chosen): Json {
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  switch (kind) {
    case "number":
    case "seed":
      return clamp(0, limits(schema));
    case "switch":
      return false;
    case "choice":
      return choices[0] ?? null;
    case "list":
    case "curve":
      return fixed ? items.map(firstValue) : [];
    case "json":
      return null;
    default:
      return "";
  }
}

/** Words of a value, for buttons and lists. */
export function shown(value: Json | undefined): string {
  if (value === undefined) return "";
  if (value === null) return "off";
  if (value === "") return "empty";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Equal as JSON values. */
export function same(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b));
}
