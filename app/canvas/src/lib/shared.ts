/** What all parts of the page share, handed down as Svelte context. */

import { getContext, setContext } from "svelte";
import type { Api } from "./api";
import type { Kinds } from "./catalog";
import type { WorkflowDocument } from "./document.svelte";
import type { FilesState } from "./files.svelte";
import type { RunsState } from "./runs.svelte";
import type { Stage } from "./stage.svelte";
import type { Ui } from "./ui.svelte";

export interface App {
  readonly api: Api;
  readonly catalog: Kinds;
  readonly document: WorkflowDocument;
  readonly runs: RunsState;
  readonly files: FilesState;
  /** Dialogs, side panels and notices. */
  readonly stage: Stage;
  readonly ui: Ui;
}

const NAME = Symbol("latentloom");

export function setApp(app: App): App {
  return setContext(NAME, app);
}

export function getApp(): App {
  return getContext<App>(NAME);
}
