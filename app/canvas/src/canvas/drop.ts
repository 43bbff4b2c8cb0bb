/** What may be dropped or pasted: kinds of nodes from the palette, workflow files, pictures. */

import { problemsOf } from "../lib/api";
import type { Point } from "../lib/content";
import type { App } from "../lib/shared";
import type { NodeKind, SettingKind } from "../lib/types";
import type { Actions } from "./actions";

/** The type of the data a dragged kind of node is. */
export const KIND = "application/x-latentloom-kind";

export function accepts(transfer: DataTransfer | null): boolean {
  return transfer !== null && (transfer.types.includes(KIND) || transfer.types.includes("Files"));
}

/** `node` is the one it was dropped on. */
export async function drop(app: App, actions: Actions, transfer: DataTransfer, at: Point, node: string | null): Promise<void> {
  const kind = transfer.getData(KIND);
  if (kind) {
    actions.addNode(kind, at);
    return;
  }
  for (const file of transfer.files) await dropFile(app, actions, file, at, node);
}

/** A picture for a node that reads one is its picture; elsewhere one that holds a workflow opens it. */
export async function dropFile(app: App, actions: Actions, file: File, at: Point, node: string | null): Promise<void> {
  const setting = node !== null && file.type.startsWith("image/") ? pictureOf(app.document.kindOf(node)) : undefined;
  if (node !== null && setting) await upload(app, file, (path) => app.document.setSetting(node, setting.name, path));
  else if (file.type.startsWith("image/") && !(await holdsWorkflow(app, file))) await loadPicture(app, actions, file, at);
  else await app.files.openFile(file);
}

async function holdsWorkflow({ api }: App, file: File): Promise<boolean> {
  return api.open(file).then(
    () => true,
    () => false,
  );
}

/** A picture without a workflow becomes a node that loads it. */
async function loadPicture(app: App, actions: Actions, file: File, at: Point): Promise<void> {
  const { catalog, ui } = app;
  const kind = catalog.get("load_image");
  const setting = pictureOf(kind);
  if (!kind || !setting) {
    ui.toast("There is no kind of node here that loads a picture.", { tone: "error" });
    return;
  }
  await upload(app, file, (path) => actions.addNode(kind.name, at, null, { [setting.name]: path }));
}

function pictureOf(kind: NodeKind | undefined): SettingKind | undefined {
  return kind?.settings.find((each) => each.reads === "input");
}

async function upload({ api, ui }: App, file: File, use: (path: string) => void): Promise<void> {
  try {
    use((await api.upload(file)).path);
  } catch (error) {
    ui.toast(problemsOf(error).map((problem) => problem.sentence).join(" "), { tone: "error" });
  }
}
