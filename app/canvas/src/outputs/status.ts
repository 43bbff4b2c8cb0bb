/** What a node's state is called, beside its colour and its mark. */

import type { IconName } from "../widgets/Icon.svelte";
import type { NodeState, NodeStatus } from "../lib/types";
import { duration } from "./time";

export const MARKS: Record<
  NodeStatus,
  { icon: IconName; word: string; tone: "quiet" | "accent" | "success" | "danger" | "warning" }
> = {
  waiting: { icon: "clock", word: "waiting", tone: "quiet" },
  running: { icon: "play", word: "running", tone: "accent" },
  done: { icon: "check", word: "done", tone: "success" },
  reused: { icon: "reuse", word: "reused", tone: "success" },
  failed: { icon: "warning", word: "failed", tone: "danger" },
  skipped: { icon: "skip", word: "skipped", tone: "warning" },
  cancelled: { icon: "stop", word: "cancelled", tone: "warning" },
  muted: { icon: "mute", word: "muted", tone: "quiet" },
};

/** The same where there is room for little: the step of one that runs, the time of one that is done. */
export function brief({ status, done, total, seconds }: NodeState): string {
  if (status === "done") return duration(seconds);
  return status === "running" && total > 0 ? `${done}/${total}` : "";
}

/** How far a running node is, in words: "step 3 of 25, 4 s left". */
export function told({ status, done, total, label, seconds, left }: NodeState): string {
  if (status === "done") return duration(seconds);
  if (status !== "running") return "";
  const stage = total > 0 ? `${label || "step"} ${done} of ${total}` : label;
  const rest = left === null ? (seconds >= 1 ? duration(seconds) : "") : `${duration(left)} left`;
  return [stage, rest].filter(Boolean).join(", ");
}

/** Share of its steps a running node has done, 0 to 1; null where it cannot tell. */
export function share({ status, done, total }: NodeState): number | null {
  return status === "running" && total > 0 ? Math.min(1, done / total) : null;
}
