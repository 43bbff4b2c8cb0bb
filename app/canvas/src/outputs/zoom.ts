/** How a picture lies in the window it is looked at in. */

export interface Size {
  width: number;
  height: number;
}

/** `scale` is screen pixels a picture's pixel; x and y the picture's middle from the window's, in screen pixels. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

const MOST = 64;
const LEAST = 0.02;
/** Below, a picture is shown by its pixels when enlarged, and by whole factors. */
const TINY = 256;

export function isTiny({ width, height }: Size): boolean {
  return Math.max(width, height) <= TINY;
}

/** All of the picture in the window; tiny ones enlarged by a whole factor, others never. */
export function fit(picture: Size, window: Size): View {
  const scale = Math.min(window.width / picture.width, window.height / picture.height);
  const whole = scale >= 1 ? (isTiny(picture) ? Math.floor(scale) : 1) : scale;
  return { scale: Math.min(MOST, Math.max(LEAST, whole)), x: 0, y: 0 };
}

/** Nearer by `factor`; what is under `at` (from the window's middle) stays there. */
export function zoomed(view: View, factor: number, at: { x: number; y: number } = { x: 0, y: 0 }): View {
  const scale = Math.min(MOST, Math.max(LEAST, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/** Moved, but never wholly out of the window. */
export function moved(view: View, dx: number, dy: number, picture: Size, window: Size): View {
  const room = (length: number, size: number) => Math.max(0, (length * view.scale + size) / 2 - 40);
  const within = (value: number, most: number) => Math.min(most, Math.max(-most, value));
  return {
    scale: view.scale,
    x: within(view.x + dx, room(picture.width, window.width)),
    y: within(view.y + dy, room(picture.height, window.height)),
  };
}

/** Columns for so many pictures side by side: nearly square, at most four. */
export function columns(count: number): number {
  return Math.min(4, Math.ceil(Math.sqrt(count)));
}
