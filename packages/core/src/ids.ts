// Random ids: short for what is on every message, long for what proves something.
import { randomBytes } from "node:crypto";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** An id of 20 letters and digits (119 bits), unguessable. */
export function randomId(): string {
  let id = "";
  while (id.length < 20) {
    // Bytes over the last multiple of 62 would favour the first letters.
    for (const byte of randomBytes(32)) if (byte < 248 && id.length < 20) id += alphabet[byte % 62];
  }
  return id;
}

/** A secret of 128 bits. */
export function randomToken(): string {
  return randomBytes(16).toString("hex");
}
