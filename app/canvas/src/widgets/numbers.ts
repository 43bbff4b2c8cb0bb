/** Numbers as settings have them: limits and steps from a JSON schema, typed and dragged values, without float noise. */

import type { Schema } from "../lib/types";

export interface Limits {
  integer: boolean;
  least: number;
  most: number;
  /** Whether `least` and `most` themselves are refused. */
  above: boolean;
  below: boolean;
  /** What an arrow key adds. */
  step: number;
  /** Values have to be multiples of this, if it is given. */
  multiple: number | null;
  /** Narrow enough to be chosen by position. */
  slider: boolean;
}

/** A typed value: `value` is null where it is none; `hint` tells what was changed or is wrong. */
export interface Typed {
  value: number | null;
  hint: string;
}

const SAFE = Number.MAX_SAFE_INTEGER;
/** Seeds drawn by the page: short enough to be told to somebody else. */
const DRAWN_SEEDS = 2 ** 32;
/** A slider of about 200 pixels still finds each of so many whole numbers; the form (`fields.py`) has the same bound. */
const MOST_WHOLE = 256;
const MOST_STEPS = 1000;
const SCRUB_PIXELS = 4;

export function limits(schema: Schema): Limits {
  const integer = schema.type === "integer";
  let least = schema.minimum ?? (integer ? -SAFE : -Infinity);
  let most = schema.maximum ?? (integer ? SAFE : Infinity);
  let [above, below] = [false, false];
  if (schema.exclusiveMinimum !== undefined && schema.exclusiveMinimum >= least) {
    [least, above] = integer ? [Math.floor(schema.exclusiveMinimum) + 1, false] : [schema.exclusiveMinimum, true];
  }
  if (schema.exclusiveMaximum !== undefined && schema.exclusiveMaximum <= most) {
    [most, below] = integer ? [Math.ceil(schema.exclusiveMaximum) - 1, false] : [schema.exclusiveMaximum, true];
  }
  // Larger whole numbers lose digits in JSON as browsers read it.
  if (integer) [least, most] = [Math.max(Math.ceil(least), -SAFE), Math.min(Math.floor(most), SAFE)];
  const multiple = schema.multipleOf ?? null;
  const step = multiple ?? (integer ? 1 : stepOf(most - least, schema.default));
  const span = most - least;
  const slider =
    Number.isFinite(span) && span > 0 && !above && !below && span / step <= (integer ? MOST_WHOLE : MOST_STEPS);
  return { integer, least, most, above, below, step, multiple, slider };
}

/** A hundredth of the range's magnitude, or a tenth of the default's where that is smaller: 0.0001 for a rate of 0.002. */
function stepOf(span: number, standard: unknown): number {
  const bySpan = Number.isFinite(span) && span > 0 ? Math.floor(Math.log10(span)) - 2 : -1;
  const size = typeof standard === "number" && standard !== 0 ? Math.abs(standard) : null;
  const byDefault = size === null ? bySpan : Math.floor(Math.log10(size)) - 1;
  return powerOfTen(Math.min(bySpan, byDefault, 0));
}

function powerOfTen(exponent: number): number {
  return Number(`1e${exponent}`);
}

/** Digits after the point that `value` needs. */
export function decimals(value: number): number {
  const [digits = "", exponent = "0"] = String(value).split("e");
  const fraction = digits.split(".")[1] ?? "";
  return Math.min(100, Math.max(0, fraction.length - Number(exponent)));
}

/** As it is written: every digit that counts, a point, no grouping. */
export function format(value: number): string {
  return Object.is(value, -0) ? "0" : String(value);
}

function rounded(value: number, places: number): number {
  return Number.isFinite(value) ? Number(value.toFixed(places)) : value;
}

/** The nearest value that the limits take. */
export function clamp(value: number, limits: Limits): number {
  const { least, most, above, below, step } = limits;
  if (value < least || (above && value === least)) return above ? tidy(least + step, limits) : least;
  if (value > most || (below && value === most)) return below ? tidy(most - step, limits) : most;
  return value;
}

function tidy(value: number, { step, integer }: Limits): number {
  return integer ? Math.round(value) : rounded(value, decimals(step));
}

/** `value` moved by `count` steps, each `factor` times as large as usual; never less than 1 for whole numbers. */
export function nudge(value: number, count: number, limits: Limits, factor = 1): number {
  const smallest = limits.multiple ?? (limits.integer ? 1 : 0);
  const step = Math.max(rounded(limits.step * factor, decimals(limits.step) + 2), smallest);
  const moved = value + count * step;
  return clamp(limits.integer ? Math.round(moved) : rounded(moved, Math.max(decimals(value), decimals(step))), limits);
}

/** `value` after a drag of `pixels` over a field `width` pixels wide; a slider's whole range lies within its width. */
export function scrubbed(value: number, pixels: number, width: number, limits: Limits, factor = 1): number {
  if (!limits.slider || width <= 0) return nudge(value, Math.trunc(pixels / SCRUB_PIXELS), limits, factor);
  return onGrid(value + (pixels / width) * (limits.most - limits.least) * factor, limits, factor);
}

/** The value at `share` (0 to 1) of a slider. */
export function atShare(share: number, limits: Limits): number {
  return onGrid(limits.least + share * (limits.most - limits.least), limits);
}

/** Where on a slider `value` stands, 0 to 1. */
export function shareOf(value: number, { least, most }: Limits): number {
  return most > least ? Math.min(1, Math.max(0, (value - least) / (most - least))) : 0;
}

function onGrid(value: number, limits: Limits, factor = 1): number {
  const step = factor < 1 && !limits.integer ? limits.step * factor : limits.step;
  // Multiples of a step divided by a power of ten are exact; those of 0.01 itself are not.
  const places = decimals(rounded(step, decimals(limits.step) + 2));
  return clamp(rounded(Math.round(value / step) * step, places), limits);
}

/** Read a typed number; what does not fit is brought within the limits and told. */
export function parse(text: string, limits: Limits): Typed {
  const plain = text
    .trim()
    .replace(/\u2212/g, "-")
    .replace(/[\s_\u00a0]/g, "");
  if (plain === "") return { value: null, hint: "Type a number." };
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain)) {
    const hint = /^[+-]?\d*,\d+$/.test(plain)
      ? `Decimals follow a point: ${plain.replace(",", ".")}`
      : "This is not a number.";
    return { value: null, hint };
  }
  const typed = Number(plain);
  let value = limits.integer ? Math.round(typed) : typed;
  let hint = value === typed ? "" : "Whole numbers only.";
  if (limits.multiple !== null) {
    const multiple = rounded(Math.round(value / limits.multiple) * limits.multiple, decimals(limits.multiple));
    if (multiple !== value) hint = `Multiples of ${format(limits.multiple)} only.`;
    value = multiple;
  }
  const clamped = clamp(value, limits);
  if (!Number.isFinite(clamped)) return { value: null, hint: "This number is too large." };
  if (clamped !== value) hint = `Brought within the limits: ${range(limits)}.`;
  return { value: clamped, hint };
}

/** Whether `value` may stand as it is. */
export function fits(value: number, limits: Limits): boolean {
  const whole = !limits.integer || Number.isInteger(value);
  return Number.isFinite(value) && whole && clamp(value, limits) === value;
}

/** The limits in words, empty where there are none. */
export function range({ least, most, above, below, integer }: Limits): string {
  const low =
    Number.isFinite(least) && !(integer && least === -SAFE) ? `${above ? "above" : "from"} ${format(least)}` : "";
  const high =
    Number.isFinite(most) && !(integer && most === SAFE && !low)
      ? `${below ? "below" : low ? "to" : "up to"} ${format(most)}`
      : "";
  return [low, high].filter(Boolean).join(" ");
}

/** A seed drawn at random within the limits. */
export function randomSeed({ least, most }: Limits, random: () => number = Math.random): number {
  const low = Math.max(least, 0);
  return low + Math.floor(random() * Math.min(most - low + 1, DRAWN_SEEDS));
}
