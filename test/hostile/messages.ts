// What goes over the wire: random bytes and frames, and valid messages with something done to them.
import fc from "fast-check";
import { aimed, entries, junk, nested, type Stolen } from "./vocabulary.ts";

export type Frames = readonly Uint8Array[];

const empty = new Uint8Array();
const bytes = fc.uint8Array({ maxLength: 64 });

/** Bytes that mean nothing, in any number of frames. */
export const randomFrames: fc.Arbitrary<Frames> = fc.oneof(
  bytes.map((body) => [body]),
  bytes.map((body) => [empty, body]),
  fc.array(bytes, { minLength: 1, maxLength: 5 }),
  fc.oneof(fc.json({ maxDepth: 3 }), fc.string({ unit: "binary" })).map((text) => [Buffer.from(text)]),
);

/** What REQ sockets send, and are answered at once. */
export const randomBody: fc.Arbitrary<Uint8Array> = fc.oneof(
  bytes,
  fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text)),
  fc.record({ jsonrpc: junk, method: junk, params: junk, id: junk }, { requiredKeys: [] }).map(encode),
);

/** Valid messages, or what was valid before something was done to their members, their text or their bytes. */
export function mutatedFrames(stolen: Stolen): fc.Arbitrary<Frames> {
  const entry = entries(stolen);
  const changed = fc.oneof(entry, fc.tuple(entry, fc.nat(), junk, memberChange).map(changeMember));
  const value: fc.Arbitrary<unknown> = fc.oneof(
    { arbitrary: changed, weight: 6 },
    { arbitrary: fc.array(changed, { maxLength: 4 }), weight: 3 },
    { arbitrary: changed.map((one) => [[one]]), weight: 1 },
  );
  const body = fc.oneof(
    { arbitrary: value.map(encode), weight: 120 },
    {
      arbitrary: fc.tuple(value.map(encode), fc.nat(), fc.nat(255), byteChange).map(changeBytes),
      weight: 80,
    },
    { arbitrary: fc.integer({ min: 101, max: 20_000 }).map(tooDeep), weight: 1 },
  );
  return framed(body);
}

/** Valid messages that are about others' tasks and sessions. */
export function aimedFrames(stolen: Stolen): fc.Arbitrary<Frames> {
  return framed(fc.oneof(aimed(stolen), fc.array(aimed(stolen), { minLength: 1, maxLength: 3 })).map(encode));
}

function framed(body: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Frames> {
  return fc.oneof(
    { arbitrary: body.map((one) => [one]), weight: 40 },
    { arbitrary: body.map((one) => [empty, one]), weight: 10 },
    { arbitrary: fc.tuple(body, bytes), weight: 1 },
  );
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value) ?? "");
}

/** Nested deeper than `JSON.stringify` could say. */
function tooDeep(depth: number): Uint8Array {
  const params = `${"[".repeat(depth)}${"]".repeat(depth)}`;
  return Buffer.from(`{"jsonrpc":"2.0","method":"honest.echo","params":${params},"id":1}`);
}

const memberChange = fc.constantFrom("remove", "replace", "rename", "nest", "add");

function changeMember([entry, where, value, change]: [object, number, unknown, string]): object {
  const changed: { [name: string]: unknown } = { ...entry };
  const names = Object.keys(changed);
  const name = names[where % names.length] ?? "id";
  const before = changed[name];
  if (change === "remove" || change === "rename") delete changed[name];
  if (change === "rename") changed[`${name}_`] = before;
  if (change === "replace") changed[name] = value;
  if (change === "nest") changed[name] = [before, nested(where % 200)];
  if (change === "add") changed[JSON.stringify(value)] = before;
  return changed;
}

const byteChange = fc.constantFrom("flip", "cut", "insert", "repeat", "double member");

function changeBytes([body, where, byte, change]: [Uint8Array, number, number, string]): Uint8Array {
  const at = body.length === 0 ? 0 : where % body.length;
  const [head, tail] = [body.subarray(0, at), body.subarray(at)];
  switch (change) {
    case "flip":
      return Buffer.concat([head, Buffer.of((tail[0] ?? 0) ^ (byte || 1)), tail.subarray(1)]);
    case "cut":
      return Buffer.from(head);
    case "insert":
      return Buffer.concat([head, Buffer.of(byte), tail]);
    case "repeat":
      return Buffer.concat([body, tail]);
    default:
      // The last one of two members with one name counts.
      return Buffer.from(
        String(Buffer.from(body)).replace(/\{/, `{"id":${byte},"method":"evil.a","params":[],`),
      );
  }
}
