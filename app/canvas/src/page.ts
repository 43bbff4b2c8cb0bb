import { mount, unmount } from "svelte";
import AppView from "./App.svelte";
import { Api } from "./lib/api";
import { Kinds } from "./lib/catalog";
import { WorkflowDocument } from "./lib/document.svelte";
import { FilesState } from "./lib/files.svelte";
import { RunsState } from "./lib/runs.svelte";
import type { App } from "./lib/shared";
import { Stage } from "./lib/stage.svelte";
import { Tab } from "./lib/tab";
import { Ui } from "./lib/ui.svelte";

export interface Options {
  /** Where the server is mounted: "" or "/latentloom". */
  root: string;
  /** The token of a shared workflow, which is shown and cannot be changed. */
  share?: string;
}

export interface Handle {
  ready: boolean;
  document?: WorkflowDocument;
  runs?: RunsState;
  files?: FilesState;
}

/** Show the editor in `element`, after `begins` was called; gives what takes it away again. */
export async function show(element: HTMLElement, { root, share }: Options, begins: () => void): Promise<() => void> {
  const app = await create(root);
  begins();
  const component = mount(AppView, { target: element, props: { app } });
  const stop = await begin(app, share);
  window.latentloom = { ready: true, document: app.document, runs: app.runs, files: app.files };
  return () => {
    stop();
    void unmount(component);
  };
}

async function create(root: string): Promise<App> {
  const tab = new Tab();
  const api = new Api(root, tab.client);
  const catalog = new Kinds(await api.catalog());
  const document = new WorkflowDocument(catalog);
  const ui = new Ui();
  const stage = new Stage(ui);
  const runs = new RunsState(api, document, stage, tab);
  const files = new FilesState(api, document, runs, stage);
  return { api, catalog, document, runs, files, stage, ui };
}

/** A share is looked at: there is nothing to run or to save in it. */
async function begin(app: App, share: string | undefined): Promise<() => void> {
  const stops = [await app.files.start(share)];
  if (share === undefined) stops.push(app.runs.start());
  return () => stops.forEach((stop) => stop());
}
