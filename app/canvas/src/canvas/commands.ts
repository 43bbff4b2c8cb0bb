/** What each command of the table of shortcuts does. */

import type { App } from "../lib/shared";
import type { Command } from "../lib/shortcuts";
import type { Actions } from "./actions";
import { flowId, itemId } from "./ids";
import type { CanvasState, Place } from "./state.svelte";

/** What the page's elements can do, which need the canvas on the screen. */
export interface View {
  fit(nodes?: readonly string[]): void;
  zoomBy(factor: number): void;
  zoomTo(zoom: number): void;
  focus(): void;
  /** A place on the screen for a box: beside a node, or in the middle. */
  place(node?: string): Place;
  /** Move the keyboard's focus to a node. */
  goTo(node: string): void;
  /** Into the first field of a node. */
  into(node: string): void;
}

/** False where there was nothing to do, so that the key keeps its usual meaning. */
export type Commands = Record<Command, (event?: KeyboardEvent) => unknown>;

/** How far an arrow key moves what is selected, and with Shift. */
const STEP = 10;
const STRIDE = 50;

export function commands(app: App, canvas: CanvasState, actions: Actions, view: View): Commands {
  const { document, runs, files, ui } = app;
  const one = () => document.selection[0];
  const edited = (does: () => unknown) => () => (document.readonly ? false : does());
  const told = (step: string | null, verb: string) => ui.announce(step ? `${verb}: ${step}.` : "There is nothing more.");
  const connect = (side: "in" | "out") => () => {
    const node = one();
    if (node === undefined) return false;
    canvas.open = { kind: "connect", at: view.place(node), node, side };
  };
  const along = (side: "in" | "out") => () => {
    const node = one();
    const next = node === undefined ? undefined : actions.neighbours(node, side)[0];
    if (next !== undefined) view.goTo(next);
  };

  return {
    run: () => runs.submit(),
    runFirst: () => runs.submit({ front: true }),
    runTo: () => (document.selection.length > 0 ? runs.submit({ goals: [...document.selection] }) : false),
    interrupt: () => runs.cancel(),
    queue: () => ui.toggle("queue"),
    gallery: () => ui.toggle("gallery"),

    save: () => files.save(),
    saveAs: () => files.saveAs(),
    open: () => (ui.panel = "files"),
    templates: () => ui.toggle("templates"),

    undo: edited(() => told(document.undo(), "Undone")),
    redo: edited(() => told(document.redo(), "Done again")),
    cut: edited(() => copy(() => actions.remove())),
    copy: () => copy(),
    paste: edited(() => paste(false)),
    pasteWired: edited(() => paste(true)),
    duplicate: edited(() => actions.duplicate()),
    remove: edited(() => {
      actions.remove();
      view.focus();
    }),
    selectAll: () => (canvas.nodes = canvas.nodes.map((node) => (node.selected ? node : { ...node, selected: true }))),
    selectNone: () => {
      if (canvas.open) canvas.open = null;
      else if (ui.sheet) ui.sheet = false;
      else if (ui.panel) ui.panel = null;
      else document.select([]);
      view.focus();
    },

    search: edited(() => {
      const point = canvas.pointer && actions.toFlow(canvas.pointer);
      canvas.open = { kind: "search", at: canvas.pointer ?? view.place(), point, from: null };
    }),
    edit: edited(() => (one() === undefined ? false : view.into(one()!))),
    rename: edited(() => rename()),
    mute: edited(() => actions.toggleMode("mute")),
    bypass: edited(() => actions.toggleMode("bypass")),
    collapse: edited(() => actions.toggleCollapsed()),
    group: edited(() => actions.group()),
    note: edited(() => actions.addNote()),
    menu: () => openMenu(),
    help: () => {
      if (one() === undefined) return false;
      ui.inspector = true;
    },

    connectOutput: edited(connect("out")),
    connectInput: edited(connect("in")),
    disconnect: edited(() => actions.disconnect()),
    downstream: along("out"),
    upstream: along("in"),
    layout: edited(() => actions.layOut()),
    alignLeft: edited(() => actions.align("left")),
    alignRight: edited(() => actions.align("right")),
    alignTop: edited(() => actions.align("top")),
    alignBottom: edited(() => actions.align("bottom")),
    nudge: (event) => {
      if (document.readonly || actions.nothingSelected || !event) return false;
      actions.nudge(...nudged(event));
    },
    snap: () => {
      ui.snap = !ui.snap;
      ui.announce(ui.snap ? "Snaps to the grid." : "Moves freely.");
    },

    fit: () => actions.laidOut.then(() => view.fit(document.selection)),
    zoomIn: () => view.zoomBy(1.25),
    zoomOut: () => view.zoomBy(0.8),
    zoomFull: () => view.zoomTo(1),
    minimap: () => (ui.minimap = !ui.minimap),
    palette: () => (ui.palette = !ui.palette),
    inspector: () => (ui.inspector = !ui.inspector),
    shortcuts: () => (ui.sheet = !ui.sheet),
  };

  /** From a menu there is no clipboard event: the browser is asked for one, or for leave. */
  function copy(then: () => void = () => {}): unknown {
    const text = actions.copied();
    if (text === null) return false;
    navigator.clipboard?.writeText(text).then(then, () => ui.toast("The browser does not let the page copy here: press Ctrl+C."));
    return true;
  }

  function paste(wired: boolean): unknown {
    const refused = () => ui.toast(`The browser does not let the page paste here: press ${wired ? "Ctrl+Shift+V" : "Ctrl+V"}.`);
    const text = navigator.clipboard?.readText();
    if (!text) return refused();
    return text.then((found) => {
      if (!actions.paste(found, actions.middle(), wired)) ui.toast("The clipboard holds no nodes.");
    }, refused);
  }

  function rename(): unknown {
    const { groups } = document.marked;
    if (one() !== undefined) canvas.editing = flowId(one()!);
    else if (groups[0] !== undefined) canvas.editing = itemId("groups", groups[0]);
    else return false;
    return true;
  }

  function openMenu(): void {
    const { groups, notes, reroutes } = document.marked;
    const wire = canvas.selectedWires[0];
    const at = view.place(one());
    if (document.selection.length > 0) canvas.open = { kind: "menu", at, target: { kind: "nodes" } };
    else if (groups[0] !== undefined) canvas.open = { kind: "menu", at, target: { kind: "group", index: groups[0] } };
    else if (notes[0] !== undefined) canvas.open = { kind: "menu", at, target: { kind: "note", index: notes[0] } };
    else if (reroutes[0] !== undefined) canvas.open = { kind: "menu", at, target: { kind: "bend", index: reroutes[0] } };
    else if (wire) canvas.open = { kind: "menu", at, target: { kind: "wire", wire } };
    else canvas.open = { kind: "menu", at, target: { kind: "canvas" } };
  }
}

/** The arrow keys: which way and how far. */
function nudged(event: KeyboardEvent): [number, number] {
  const by = event.shiftKey ? STRIDE : STEP;
  const ways: Record<string, [number, number]> = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] };
  return ways[event.key] ?? [0, 0];
}
