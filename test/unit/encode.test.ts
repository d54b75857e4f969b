import { expect, it } from "vitest";
import { encodeMessage, errorObject, failure, notification, request, success } from "zerotask-core";

const strings = [
  "",
  "add",
  "images.resize",
  "c-1#2",
  'a"b',
  "a\\b",
  "line\n",
  "ä",
  "\ud800",
  "\u2028",
  "x y",
];
const ids = [0, -1, 1.5, 1e21, Number.NaN, null, ...strings];
const toJSON = (): unknown => undefined;
const values = [
  null,
  0,
  "",
  'a"b',
  [],
  {},
  [undefined, 1],
  { a: undefined, b: [1] },
  new Date(0),
  { toJSON },
];

it("makes the JSON that JSON.stringify makes of a message, if with its members in another order", () => {
  for (const id of ids) {
    for (const value of values) {
      const messages = [
        request("add", [value], id),
        request("add", { value }, id),
        request("add", undefined, id),
        { ...request("add", [value], id), meta: { trace: "t" } },
        { ...request("add", undefined, id), params: value as object },
        success(id, value),
        { ...success(id, 1), result: undefined },
        failure(id, errorObject(-32000, "failed", value)),
      ];
      for (const message of messages) {
        expect(JSON.parse(encodeMessage(message as never))).toEqual(JSON.parse(JSON.stringify(message)));
      }
    }
  }
  for (const method of strings) {
    expect(encodeMessage(request(method, [1], "i"))).toBe(JSON.stringify(request(method, [1], "i")));
    expect(encodeMessage(notification(method, [1]))).toBe(JSON.stringify(notification(method, [1])));
  }
});

it("throws what JSON.stringify throws", () => {
  const circular: unknown[] = [];
  circular.push(circular);
  expect(() => encodeMessage(request("add", circular, 1))).toThrow("circular");
  expect(() => encodeMessage(success(1, 1n))).toThrow("BigInt");
});
