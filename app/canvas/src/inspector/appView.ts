/** What the plain form of a workflow shows, and in which order. */

import type { AppView, Content } from "../lib/types";

export const EMPTY: AppView = { inputs: [], outputs: [] };

/** The view a workflow has; a file may hold only a part of one. */
export function viewOf(content: Content): AppView {
  return {
    ...content.app,
    inputs: Array.isArray(content.app?.inputs) ? content.app.inputs : [],
    outputs: Array.isArray(content.app?.outputs) ? content.app.outputs : [],
  };
}

export function showsSetting(view: AppView, setting: string): boolean {
  return view.inputs.some((input) => input.setting === setting);
}

export function showsOutput(view: AppView, node: string): boolean {
  return view.outputs.some((output) => output.node === node);
}

export function toggleSetting(view: AppView, setting: string): AppView {
  const inputs = showsSetting(view, setting)
    ? view.inputs.filter((input) => input.setting !== setting)
    : [...view.inputs, { setting }];
  return { ...view, inputs };
}

export function toggleOutput(view: AppView, node: string): AppView {
  const outputs = showsOutput(view, node)
    ? view.outputs.filter((output) => output.node !== node)
    : [...view.outputs, { node }];
  return { ...view, outputs };
}

/** With the item at `from` at the place `to`; places beyond the ends change nothing. */
export function moved<T>(items: readonly T[], from: number, to: number): T[] {
  const item = items[from];
  if (item === undefined || to < 0 || to >= items.length) return [...items];
  const rest = items.filter((_, index) => index !== from);
  return [...rest.slice(0, to), item, ...rest.slice(to)];
}

/** With another label for the item at `index`; an empty one is none. */
export function labelled<T extends { label?: string }>(items: readonly T[], index: number, label: string): T[] {
  return items.map((item, at) => {
    if (at !== index) return item;
    const { label: _, ...rest } = item;
    return (label.trim() ? { ...rest, label: label.trim() } : rest) as T;
  });
}
