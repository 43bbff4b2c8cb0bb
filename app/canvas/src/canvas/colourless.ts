/**
 * Stands in for d3-color, with which d3-interpolate blends colours: the canvas moves and zooms, and no colour of it is
 * ever blended there, so four kilobytes need not be fetched.
 */

function never(): never {
  throw new Error("Nothing on the canvas blends colours.");
}

export const color = never;
export const rgb = never;
export const hsl = never;
export const lab = never;
export const hcl = never;
export const cubehelix = never;
