// A node that introduced itself: what it serves, how much room it has, and which tasks it holds.
import { IndexedSet, type MethodDescription, type Response } from "zerotask-core";
import type { MethodQueue } from "../order/method-queue.ts";
import type { Task } from "../tasks/task.ts";
import type { Turn } from "../turn.ts";
import type { Addressee } from "./addressee.ts";
import { Room, type RoomDescription } from "./node-room.ts";

export class NodeSession implements Addressee {
  readonly kind = "node";
  readonly id: string;
  /** Proves who it is; a node that introduced itself without a protocol has none. */
  readonly token: string | undefined;
  /** The connection it is on. A node without a protocol has none: it asks for its tasks. */
  peer: string | undefined;
  lastSeen: number;
  /** For tasks of all methods that have none of their own. */
  readonly #general: Room;
  /** By name. */
  readonly #rooms = new Map<string, Room>();
  #roomOfMethod: Map<string, Room> | undefined;
  descriptions: readonly MethodDescription[] = [];
  readonly methods: Set<MethodQueue> = new Set();
  readonly tasks: IndexedSet<"nodeIndex", Task> = new IndexedSet("nodeIndex");
  /** How many of them it runs for itself. */
  ownTasks = 0;
  readonly #turn: Turn;

  constructor(id: string, token: string | undefined, peer: string | undefined, turn: Turn, slots = 0) {
    this.id = id;
    this.#general = new Room(slots);
    this.token = token;
    this.peer = peer;
    this.#turn = turn;
    this.lastSeen = turn.now;
  }

  /** Gives some methods a room of their own: before it holds any task. */
  addRoom({ name, slots, methods }: RoomDescription): void {
    const room = new Room(slots);
    this.#rooms.set(name, room);
    this.#roomOfMethod ??= new Map();
    for (const method of methods) this.#roomOfMethod.set(method, room);
  }

  /** Its room of this name; without a name, the one for all other methods. */
  room(name?: string): Room | undefined {
    return name === undefined ? this.#general : this.#rooms.get(name);
  }

  roomOf(method: string): Room {
    return this.#roomOfMethod?.get(method) ?? this.#general;
  }

  /** Whether there is room for anything. */
  get hasRoom(): boolean {
    if (this.#general.isFree) return true;
    for (const room of this.#rooms.values()) if (room.isFree) return true;
    return false;
  }

  hold(task: Task): void {
    this.tasks.add(task);
    if (task.pin !== undefined) this.ownTasks++;
    this.roomOf(task.method.name).held++;
  }

  release(task: Task): void {
    this.tasks.delete(task);
    if (task.pin !== undefined) this.ownTasks--;
    this.roomOf(task.method.name).held--;
  }

  deliver(response: Response): void {
    if (this.peer !== undefined) this.#turn.send(this.peer, response);
  }
}
