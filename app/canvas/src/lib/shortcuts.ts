/** The one table of what can be done and by which keys: the keyboard, the menus and the sheet of shortcuts read it. */

export type Section = "Run" | "File" | "Edit" | "Nodes" | "Wires and layout" | "View";

export interface Shortcut {
  title: string;
  section: Section;
  /** The first is shown in menus. "Ctrl" is also the Mac's Command key. */
  keys: readonly string[];
  /** Also while text is typed somewhere. */
  everywhere?: boolean;
  /** The browser's own copy, cut and paste events do it; the keys are only told. */
  told?: boolean;
}

const table = {
  run: { title: "Run the workflow", section: "Run", keys: ["Ctrl+Enter"], everywhere: true },
  runFirst: { title: "Run before all that waits", section: "Run", keys: ["Ctrl+Shift+Enter"], everywhere: true },
  runTo: { title: "Run to the selected nodes", section: "Run", keys: ["Alt+Enter"] },
  interrupt: { title: "Stop the run", section: "Run", keys: ["Ctrl+Alt+Enter"], everywhere: true },
  queue: { title: "Queue", section: "Run", keys: ["Q"] },
  gallery: { title: "Gallery of past runs", section: "Run", keys: ["H"] },

  save: { title: "Save", section: "File", keys: ["Ctrl+S"], everywhere: true },
  saveAs: { title: "Save under another name", section: "File", keys: ["Ctrl+Shift+S"], everywhere: true },
  open: { title: "Open", section: "File", keys: ["Ctrl+O"], everywhere: true },
  templates: { title: "Templates", section: "File", keys: ["T"] },

  undo: { title: "Undo", section: "Edit", keys: ["Ctrl+Z"] },
  redo: { title: "Redo", section: "Edit", keys: ["Ctrl+Shift+Z", "Ctrl+Y"] },
  cut: { title: "Cut", section: "Edit", keys: ["Ctrl+X"], told: true },
  copy: { title: "Copy", section: "Edit", keys: ["Ctrl+C"], told: true },
  paste: { title: "Paste", section: "Edit", keys: ["Ctrl+V"], told: true },
  pasteWired: { title: "Paste with the wires that led in", section: "Edit", keys: ["Ctrl+Shift+V"], told: true },
  duplicate: { title: "Duplicate", section: "Edit", keys: ["Ctrl+D", "Alt+drag"] },
  remove: { title: "Delete", section: "Edit", keys: ["Delete", "Backspace"] },
  selectAll: { title: "Select all", section: "Edit", keys: ["Ctrl+A"] },
  selectNone: { title: "Select nothing", section: "Edit", keys: ["Escape"] },

  search: { title: "Add a node", section: "Nodes", keys: ["Space", "/"] },
  edit: { title: "Into the settings of the node", section: "Nodes", keys: ["Enter"] },
  rename: { title: "Rename", section: "Nodes", keys: ["F2"] },
  mute: { title: "Mute", section: "Nodes", keys: ["Ctrl+M"] },
  bypass: { title: "Bypass", section: "Nodes", keys: ["Ctrl+B"] },
  collapse: { title: "Collapse", section: "Nodes", keys: ["Alt+C"] },
  group: { title: "Group", section: "Nodes", keys: ["Ctrl+G"] },
  note: { title: "Add a note", section: "Nodes", keys: ["N"] },
  menu: { title: "Menu", section: "Nodes", keys: ["Shift+F10", "ContextMenu"] },
  help: { title: "Help on the node", section: "Nodes", keys: ["F1"] },

  connectOutput: { title: "Wire an output", section: "Wires and layout", keys: ["W"] },
  connectInput: { title: "Wire an input", section: "Wires and layout", keys: ["Shift+W"] },
  disconnect: { title: "Take the wires off", section: "Wires and layout", keys: ["Alt+W"] },
  downstream: { title: "To the next node along the wires", section: "Wires and layout", keys: ["]"] },
  upstream: { title: "To the node before along the wires", section: "Wires and layout", keys: ["["] },
  layout: { title: "Lay out along the data flow", section: "Wires and layout", keys: ["L"] },
  alignLeft: { title: "Align left edges", section: "Wires and layout", keys: ["Alt+Shift+ArrowLeft"] },
  alignRight: { title: "Align right edges", section: "Wires and layout", keys: ["Alt+Shift+ArrowRight"] },
  alignTop: { title: "Align upper edges", section: "Wires and layout", keys: ["Alt+Shift+ArrowUp"] },
  alignBottom: { title: "Align lower edges", section: "Wires and layout", keys: ["Alt+Shift+ArrowDown"] },
  nudge: { title: "Move a little; with Shift further", section: "Wires and layout", keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Shift+ArrowLeft", "Shift+ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown"] },
  snap: { title: "Snap to the grid", section: "Wires and layout", keys: ["G"] },

  fit: { title: "Show all, or what is selected", section: "View", keys: ["F", "."] },
  zoomIn: { title: "Zoom in", section: "View", keys: ["+", "=", "Alt+="] },
  zoomOut: { title: "Zoom out", section: "View", keys: ["-", "Alt+-"] },
  zoomFull: { title: "Actual size", section: "View", keys: ["0"] },
  minimap: { title: "Overview map", section: "View", keys: ["M"] },
  palette: { title: "Palette of nodes", section: "View", keys: ["P"] },
  inspector: { title: "Settings panel", section: "View", keys: ["I"] },
  shortcuts: { title: "All shortcuts", section: "View", keys: ["?"] },
} as const satisfies Record<string, Shortcut>;

export type Command = keyof typeof table;

export const SHORTCUTS: Record<Command, Shortcut> = table;

export const SECTIONS: Section[] = ["Run", "File", "Edit", "Nodes", "Wires and layout", "View"];

type Pressed = Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

/** What is done when these keys are pressed. */
export function commandFor(event: Pressed): Command | null {
  for (const [command, { keys, told }] of Object.entries(SHORTCUTS)) {
    if (!told && keys.some((combination) => matches(combination, event))) return command as Command;
  }
  return null;
}

function matches(combination: string, event: Pressed): boolean {
  const parts = combination.split("+");
  // "+" alone, or at the end as in "Alt++".
  const key = parts.at(-1) || "+";
  const has = (modifier: string) => parts.slice(0, -1).includes(modifier);
  if (has("Ctrl") !== (event.ctrlKey || event.metaKey) || has("Alt") !== event.altKey) return false;
  // Signs such as "?" need Shift on some keyboards and not on others.
  const isSign = key.length === 1 && !/[A-Z]/.test(key);
  if (!isSign && has("Shift") !== event.shiftKey) return false;
  if (key === "Space") return event.key === " ";
  if (key.length > 1) return event.key === key;
  // With Alt some keyboards type another letter.
  return event.key.toUpperCase() === key || (event.altKey && event.code === `Key${key}`);
}

const SIGNS: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
  ContextMenu: "Menu key",
};

const MAC: Record<string, string> = { Ctrl: "⌘", Alt: "⌥", Shift: "⇧", Enter: "↩" };

export const isMac = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform);

/** A combination's keys as they are printed on the keyboard. */
export function printed(combination: string, mac = isMac): string[] {
  const keys = combination === "+" ? ["+"] : combination.split("+");
  return keys.map((key) => (mac ? MAC[key] : undefined) ?? SIGNS[key] ?? key);
}
