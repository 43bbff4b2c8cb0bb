/**
 * Stands in for d3-transition, which d3-zoom imports: the canvas moves at once and never in steps, so there is nothing
 * to interrupt. Without the animations, and the colours they would blend, the page is a fifteenth smaller.
 */

import { selection } from "d3-selection";

selection.prototype.interrupt = function () {
  return this;
};

export function interrupt(): void {}
