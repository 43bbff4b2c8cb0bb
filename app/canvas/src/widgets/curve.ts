/** Points that a curve goes through, from left to right, and the frame they are moved in. */

import { type Span, scale, span, ticks } from "../outputs/figure";
import type { Json } from "../lib/types";

export type Pair = readonly [x: number, y: number];

/** The x between two points at the least, as a share of the frame: one place has one height. */
const APART = 0.01;
/** Room above the highest point, to draw it higher. */
const HEADROOM = 1.25;
/** Positions from one side to the other. */
const POSITIONS = 100;

export function pairs(value: Json | undefined): Pair[] {
  const found = Array.isArray(value) ? value : [];
  return found
    .filter((pair): pair is [number, number] => Array.isArray(pair) && pair.length === 2)
    .toSorted(([a], [b]) => a - b);
}

/** What the plot shows up and down: the points and zero, with room above, within the limits. */
export function height(points: readonly Pair[], limits: Span): Span {
  const shown = span([0, ...points.map(([, y]) => y)])!;
  const round = ticks({ least: 0, most: Math.max(shown.most, 0) * HEADROOM || 1 }, 4);
  const step = (round[1] ?? 1) - (round[0] ?? 0);
  const most = Math.min(limits.most, Math.max(step, Math.ceil((shown.most * HEADROOM) / step - 1e-9) * step));
  const least = Math.max(limits.least, shown.least < 0 ? Math.floor((shown.least * HEADROOM) / step) * step : 0);
  return most > least ? { least, most } : { least: most - 1, most };
}

/** As fine as the plot lets see, of a round length. */
export function fineness({ least, most }: Span): number {
  return 10 ** Math.floor(Math.log10((most - least) / POSITIONS) + 1e-9);
}

/** The point number `at` moved to a place between its neighbours and within the frame. */
export function moved(points: readonly Pair[], at: number, [x, y]: Pair, wide: Span, high: Span): Pair[] {
  const apart = (wide.most - wide.least) * APART;
  const left = at > 0 ? points[at - 1]![0] + apart : wide.least;
  const right = at < points.length - 1 ? points[at + 1]![0] - apart : wide.most;
  const across = left > right ? points[at]![0] : clamped(rounded(x, fineness(wide)), { least: left, most: right });
  return points.with(at, [across, clamped(rounded(y, fineness(high)), high)]);
}

/** With one more point, unless there is one so near; and its number. */
export function added(
  points: readonly Pair[],
  [x, y]: Pair,
  wide: Span,
  high: Span,
): { points: Pair[]; at: number } | null {
  const place = clamped(rounded(x, fineness(wide)), wide);
  const apart = (wide.most - wide.least) * APART;
  if (points.some(([other]) => Math.abs(other - place) < apart * 0.999)) return null;
  const at = points.filter(([other]) => other < place).length;
  return { points: points.toSpliced(at, 0, [place, clamped(rounded(y, fineness(high)), high)]), at };
}

/** The height of the curve: straight between its points, level before the first and after the last. */
export function heightAt(points: readonly Pair[], x: number): number {
  const after = points.findIndex(([other]) => other >= x);
  if (after <= 0) return points.at(after === 0 ? 0 : -1)?.[1] ?? 0;
  const [[x0, y0], [x1, y1]] = [points[after - 1]!, points[after]!];
  return scale({ least: x0, most: x1 }, y0, y1)(x);
}

/** Where a new point is wanted by one who points at none: in the middle of the widest gap. */
export function gap(points: readonly Pair[], wide: Span): number {
  const stops = [wide.least, ...points.map(([x]) => x), wide.most];
  const gaps = stops.slice(1).map((stop, at) => ({ middle: (stop + stops[at]!) / 2, room: stop - stops[at]! }));
  return gaps.reduce((best, each) => (each.room > best.room ? each : best)).middle;
}

function clamped(value: number, { least, most }: Span): number {
  return Math.min(most, Math.max(least, value));
}

function rounded(value: number, step: number): number {
  return Number((Math.round(value / step) * step).toPrecision(12));
}
