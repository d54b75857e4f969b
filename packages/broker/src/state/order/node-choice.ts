// Which of the nodes that serve a method gets its next task.

import type { NodeSession } from "../peers/node-session.ts";
import type { MethodQueue } from "./method-queue.ts";

/** What a batch of one handler's run is being gathered of: its tasks go to one node. */
export interface Gathering {
  readonly node: NodeSession;
  readonly until: number;
  left: number;
}

/**
 * The node with most free slots; where none has any, with most room left. One that has not said anything since
 * `quietSince`, because it is busy or stuck, comes after all others. Where one run takes many tasks, a node gets as
 * many as it waits for.
 */
export function chooseNode(method: MethodQueue, now: number, quietSince: number): NodeSession | undefined {
  const { gathering } = method;
  if (gathering !== undefined && isStillGathering(gathering, method, now)) {
    gathering.left--;
    return gathering.node;
  }
  let best: NodeSession | undefined;
  for (const node of method.nodes) {
    if (!node.roomOf(method.name).isFree) continue;
    if (best === undefined || isBetter(method.name, node, best, quietSince)) best = node;
  }
  const batch = method.description?.batch;
  if (batch !== undefined && best !== undefined) {
    method.gathering = { node: best, until: now + batch.waitMs, left: batch.max - 1 };
  }
  return best;
}

function isStillGathering(
  { node, until, left }: Gathering,
  { nodes, name }: MethodQueue,
  now: number,
): boolean {
  return left > 0 && now <= until && nodes.has(node) && node.roomOf(name).isFree;
}

function isBetter(method: string, node: NodeSession, best: NodeSession, quietSince: number): boolean {
  const isQuiet = node.lastSeen < quietSince;
  if (isQuiet !== best.lastSeen < quietSince) return !isQuiet;
  return node.roomOf(method).freeSlots > best.roomOf(method).freeSlots;
}
