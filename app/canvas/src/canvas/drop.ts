/** What may be dropped on the canvas: kinds of nodes from the palette, workflow files, pictures. */

import { problemsOf } from "../lib/api";
import type { Point } from "../lib/content";
import type { App } from "../lib/shared";
import type { Actions } from "./actions";

/** The type of the data a dragged kind of node is. */
export const KIND = "application/x-latentloom-kind";

export function accepts(transfer: DataTransfer | null): boolean {
  return transfer !== null && (transfer.types.includes(KIND) || transfer.types.includes("Files"));
}

export async function drop(app: App, actions: Actions, transfer: DataTransfer, at: Point): Promise<void> {
  const kind = transfer.getData(KIND);
  if (kind) {
    actions.addNode(kind, at);
    return;
  }
  for (const file of transfer.files) await dropFile(app, actions, file, at);
}

export async function dropFile(app: App, actions: Actions, file: File, at: Point): Promise<void> {
  if (file.type.startsWith("image/") && !(await holdsWorkflow(app, file))) await loadPicture(app, actions, file, at);
  else await app.files.openFile(file);
}

async function holdsWorkflow({ api }: App, file: File): Promise<boolean> {
  return api.open(file).then(
    () => true,
    () => false,
  );
}

/** A picture without a workflow becomes a node that loads it. */
async function loadPicture({ api, catalog, ui }: App, actions: Actions, file: File, at: Point): Promise<void> {
  const kind = catalog.get("load_image");
  const setting = kind?.settings.find((each) => each.reads === "input");
  if (!kind || !setting) {
    ui.toast("There is no kind of node here that loads a picture.", { tone: "error" });
    return;
  }
  try {
    const { path } = await api.upload(file);
    actions.addNode(kind.name, at, null, { [setting.name]: path });
  } catch (error) {
    ui.toast(problemsOf(error).map((problem) => problem.sentence).join(" "), { tone: "error" });
  }
}
