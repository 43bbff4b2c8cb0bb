/** How ports of a type look: colour and shape, so that nobody needs to tell them by colour alone. */

import { typeColour } from "../lib/colour";

export { typeColour };

const SHAPES = ["round", "square", "diamond"] as const;

export type Shape = (typeof SHAPES)[number];

/** Neighbouring hues have different shapes. */
export function typeShape(type: string | undefined): Shape {
  const hue = /\d+/.exec(type === undefined ? "" : typeColour(type));
  return SHAPES[Number(hue?.[0] ?? 0) % SHAPES.length]!;
}
