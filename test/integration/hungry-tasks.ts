// What needs more memory than there may be.
import { task } from "zerotask-node";

export const eat = task({ name: "eat", maxMemoryMb: 64 }, () => {
  const all: string[][] = [];
  for (;;) all.push(Array.from({ length: 1_000 }, (_, i) => `${i}-${all.length}`));
});
/** Memory that is not in JavaScript's heap. */
export const buffers = task({ name: "buffers", maxMemoryMb: 64 }, async () => {
  const all: Buffer[] = [];
  for (;;) {
    all.push(Buffer.alloc(4_000_000, 1));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
});
