/**
 * Stands in for Svelte's taking over of pages that a server drew: this one is drawn in the browser alone, so whatever
 * Svelte would do only for such a page is left out of the bundle.
 */

export const hydrating = false;
export const hydrate_node = undefined;

const nothing = (): void => {};

export {
  nothing as hydrate_next,
  nothing as hydrate_template,
  nothing as next,
  nothing as read_hydration_instruction,
  nothing as reset,
  nothing as set_hydrate_node,
  nothing as set_hydrating,
  nothing as skip_nodes,
};
