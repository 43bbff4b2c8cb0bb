/** Where a figure's axes, ticks, curves and points lie. */

import type { Series } from "../lib/types";

export interface Span {
  least: number;
  most: number;
}

export interface Point {
  x: number;
  y: number;
}

/** More points than pixels say nothing more. */
const MOST_POINTS = 800;

/** Round values in the span, about `count` of them, 1, 2 or 5 times a power of ten apart. */
export function ticks({ least, most }: Span, count: number): number[] {
  const rough = (most - least) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [least];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const found: number[] = [];
  for (let index = Math.ceil(least / step - 1e-9); index * step <= most + step * 1e-9; index++) {
    found.push(Number((index * step).toPrecision(12)));
  }
  return found;
}

/** Ticks as text, all with the same digits after the point; very large and small ones as powers. */
export function tickLabels(values: readonly number[]): string[] {
  const largest = Math.max(...values.map(Math.abs));
  if (largest !== 0 && (largest >= 1e6 || largest < 1e-3))
    return values.map((value) => (value === 0 ? "0" : shortest(value)));
  const places = Math.max(0, ...values.map((value) => (String(value).split(".")[1] ?? "").length));
  return values.map((value) => value.toFixed(places));
}

function shortest(value: number): string {
  return value.toExponential().replace("e+", "e");
}

/** A value as it is read off: four digits. */
export function readable(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e9 ? String(value) : String(Number(value.toPrecision(4)));
}

/** What the values span; a single value gets room around it. Null where there are none. */
export function span(values: Iterable<number>): Span | null {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) return null;
  if (least === most) {
    const room = Math.abs(least) * 0.1 || 1;
    return { least: least - room, most: most + room };
  }
  return { least, most };
}

/** The span, a little wider on both sides; zero stays an end where it is one. */
export function widened({ least, most }: Span, share = 0.05): Span {
  const room = (most - least) * share;
  return { least: least === 0 ? 0 : least - room, most: most === 0 ? 0 : most + room };
}

export function scale({ least, most }: Span, from: number, to: number): (value: number) => number {
  const factor = most > least ? (to - from) / (most - least) : 0;
  return (value) => from + (value - least) * factor;
}

/** The series' points that are numbers, in their order. */
export function points({ x, y }: Series): Point[] {
  const found: Point[] = [];
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    if (Number.isFinite(x[i]) && Number.isFinite(y[i])) found.push({ x: x[i]!, y: y[i]! });
  }
  return found;
}

/** Fewer points of the same look: of each stretch the lowest and the highest. */
export function thinned(all: readonly Point[], most = MOST_POINTS): Point[] {
  if (all.length <= most) return [...all];
  const size = Math.ceil((2 * all.length) / most);
  const kept: Point[] = [];
  for (let start = 0; start < all.length; start += size) {
    let [low, high] = [start, start];
    for (let i = start; i < Math.min(start + size, all.length); i++) {
      if (all[i]!.y < all[low]!.y) low = i;
      if (all[i]!.y > all[high]!.y) high = i;
    }
    for (const i of low === high ? [low] : low < high ? [low, high] : [high, low]) kept.push(all[i]!);
  }
  return kept;
}

/** The `d` of a path through points that are scaled already. */
export function path(all: readonly Point[]): string {
  return all.map(({ x, y }, index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** Index of the point whose x lies nearest; -1 where there are none. */
export function nearest(all: readonly Point[], x: number): number {
  let best = -1;
  for (let i = 0; i < all.length; i++) {
    if (best < 0 || Math.abs(all[i]!.x - x) < Math.abs(all[best]!.x - x)) best = i;
  }
  return best;
}
