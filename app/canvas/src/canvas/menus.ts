/** The entries of the context menus. */

import type { Command } from "../lib/shortcuts";
import type { Actions } from "./actions";
import { TINTS } from "./tints";
import type { CanvasState, MenuTarget, Place } from "./state.svelte";

export interface Entry {
  title: string;
  run: () => void;
  tone?: "danger";
}

export type Line = Command | Entry | "line";

const CANVAS: Line[] = ["search", "note", "paste", "pasteWired", "line", "selectAll", "layout", "fit", "line", "undo", "redo", "line", "snap", "minimap", "shortcuts"];

const NODES: Line[] = ["runTo", "line", "rename", "edit", "help", "line", "mute", "bypass", "collapse", "line", "connectOutput", "connectInput", "disconnect", "line", "cut", "copy", "duplicate", "group", "layout", "line", "remove"];

const SEVERAL: Line[] = ["runTo", "line", "mute", "bypass", "collapse", "disconnect", "line", "cut", "copy", "duplicate", "group", "line", "layout", "alignLeft", "alignRight", "alignTop", "alignBottom", "line", "remove"];

export function linesFor(target: MenuTarget, canvas: CanvasState, actions: Actions, at: Place): Line[] {
  const recolour = (list: "groups" | "notes", index: number): Entry[] =>
    [undefined, ...TINTS].map((color) => ({
      title: color ? `Colour: ${color}` : "No colour",
      run: () => actions.recolour(list, index, color),
    }));
  switch (target.kind) {
    case "canvas":
      return CANVAS;
    case "nodes":
      return actions.selection.length > 1 ? SEVERAL : NODES;
    case "wire":
      return [
        { title: "Add a bend", run: () => actions.bend(target.wire, actions.toFlow(at)) },
        "line",
        { title: "Take off", tone: "danger", run: () => actions.cut([target.wire]) },
      ];
    case "group":
      return [
        { title: "Rename", run: () => (canvas.editing = `%groups.${target.index}`) },
        { title: "Select what is inside", run: () => actions.selectMembers(target.index) },
        { title: "Fit around its nodes", run: () => actions.fitGroup(target.index) },
        "line",
        ...recolour("groups", target.index),
        "line",
        { title: "Take the group away", run: () => actions.removeListed("groups", target.index) },
        { title: "Delete with what is inside", tone: "danger", run: () => actions.removeWithMembers(target.index) },
      ];
    case "note":
      return [
        { title: "Edit", run: () => (canvas.editing = `%notes.${target.index}`) },
        "line",
        ...recolour("notes", target.index),
        "line",
        { title: "Delete", tone: "danger", run: () => actions.removeListed("notes", target.index) },
      ];
    case "bend":
      return [{ title: "Straighten", run: () => actions.removeListed("reroutes", target.index) }];
  }
}
