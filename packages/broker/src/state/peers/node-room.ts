// How much a node can hold: of the methods that share its slots, and of those whose tasks have slots of their own there.
import { describe, ErrorCode } from "zerotask-core";
import { type ParamReader, Refusal } from "../commands/command.ts";

export class Room {
  readonly slots: number;
  /** How many unsettled tasks it can hold. */
  capacity: number;
  /** How many it holds. */
  held = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.capacity = slots;
  }

  get isFree(): boolean {
    return this.held < this.capacity;
  }

  /** Slots that nothing is meant for; below zero when tasks wait in the node for a slot. */
  get freeSlots(): number {
    return this.slots - this.held;
  }
}

/** A room of its own for some of a node's methods, as the node introduces it. */
export interface RoomDescription {
  readonly name: string;
  readonly slots: number;
  readonly methods: readonly string[];
}

const maxRooms = 100;
const maxNameLength = 64;

/** @throws Refusal */
export function readRooms(read: ParamReader): readonly RoomDescription[] {
  const rooms = read.array("rooms");
  if (rooms.length <= maxRooms && rooms.every(isRoom)) return rooms as RoomDescription[];
  const expected = `Expected \`rooms\` to be an array of at most ${maxRooms} objects {name, slots, methods}`;
  throw new Refusal(
    ErrorCode.InvalidParams,
    `${expected}, got ${rooms.length > maxRooms ? `${rooms.length}` : describe(rooms.find((room) => !isRoom(room)))}`,
  );
}

function isRoom(value: unknown): value is RoomDescription {
  if (typeof value !== "object" || value === null) return false;
  const { name, slots, methods } = value as Record<string, unknown>;
  return (
    typeof name === "string" &&
    name.length <= maxNameLength &&
    Number.isSafeInteger(slots) &&
    (slots as number) >= 0 &&
    Array.isArray(methods) &&
    methods.every((method) => typeof method === "string")
  );
}
