/** What can be done with a picture that a run made. */

import { downloadFrom } from "../lib/download";
import type { App } from "../lib/shared";
import type { NodeKind, Output } from "../lib/types";

export type Picture = Extract<Output, { kind: "image" }>;

/** Where the whole picture lies, and a name to keep it under. */
export function original(app: App, picture: Picture): { address: string; name: string } {
  const address = app.api.url(picture.full ?? picture.url);
  return { address, name: decodeURIComponent(address.split("/").at(-1)!.split("?")[0]!) };
}

export function download(app: App, picture: Picture): void {
  const { address, name } = original(app, picture);
  downloadFrom(address, name);
}

/** The picture as PNG, which is what clipboards take. */
async function asPng(address: string): Promise<Blob> {
  const bitmap = await createImageBitmap(await (await fetch(address)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")!.drawImage(bitmap, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

export async function copy(app: App, picture: Picture): Promise<void> {
  try {
    const { address } = original(app, picture);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": asPng(address) })]);
    app.ui.toast("The picture is on the clipboard.");
  } catch {
    app.ui.toast("The browser did not let the page copy the picture; download it instead.", { tone: "error" });
  }
}

/** The kind of node that opens a picture file, and its setting for the path. */
export function opener(kinds: readonly NodeKind[]): { kind: NodeKind; setting: string } | null {
  for (const kind of kinds) {
    const setting = kind.settings.find(({ reads }) => reads === "input");
    if (setting && kind.inputs.length === 0 && kind.outputs.some(({ types }) => types.includes("Image"))) {
      return { kind, setting: setting.name };
    }
  }
  return null;
}

/** Put the picture among the inputs, and a node that opens it on the canvas. */
export async function openAsInput(app: App, picture: Picture): Promise<boolean> {
  const found = opener(app.catalog.all);
  if (!found || !app.ui.canvas) return false;
  const { address, name } = original(app, picture);
  try {
    const upload = await app.api.upload(
      new File([await asPng(address)], name.replace(/\.\w+$/, ".png"), { type: "image/png" }),
    );
    const node = app.ui.canvas.add(found.kind.name, undefined, { [found.setting]: upload.path });
    app.ui.canvas.show(node);
    return true;
  } catch (error) {
    app.ui.toast(error instanceof Error ? error.message : String(error), { tone: "error", time: 10_000 });
    return false;
  }
}
