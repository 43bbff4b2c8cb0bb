/** Which of two accounts of the same job or node is the later one: messages may come twice, late, or not at all. */

import type { Job, JobStatus, NodeState, NodeStatus } from "./types";

const JOB_STAGE: Record<JobStatus, number> = { queued: 0, running: 1, done: 2, failed: 2, cancelled: 2 };

export function isActive(status: JobStatus): boolean {
  return JOB_STAGE[status] < 2;
}

function nodeStage(status: NodeStatus): number {
  if (status === "waiting") return 0;
  return status === "running" ? 1 : 2;
}

export function isSettled(status: NodeStatus): boolean {
  return nodeStage(status) === 2;
}

/** A node's state only goes forward: waiting, running with growing seconds, ended. */
export function laterState(known: NodeState | undefined, heard: NodeState): NodeState {
  if (!known) return heard;
  const [before, after] = [nodeStage(known.status), nodeStage(heard.status)];
  if (after !== before) return after > before ? heard : known;
  return after === 1 && heard.seconds < known.seconds ? known : heard;
}

export function laterJob(known: Job | undefined, heard: Job): Job {
  if (!known) return heard;
  const [before, after] = [JOB_STAGE[known.status], JOB_STAGE[heard.status]];
  if (after !== before) return after > before ? heard : known;
  return after === 1 && heard.progress < known.progress ? known : heard;
}

/** Where a job first heard of by itself stands in the list: after those that wait, or first of the ended. */
export function placeFor(order: readonly string[], jobs: ReadonlyMap<string, Job>): number {
  const firstEnded = order.findIndex((id) => !isActive(jobs.get(id)!.status));
  return firstEnded < 0 ? order.length : firstEnded;
}
