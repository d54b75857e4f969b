// What the node and its workers load.
import { task } from "zerotask-node";

export const primes = task({ name: "primes", isolate: "thread" }, (below: number) => {
  const found: number[] = [];
  for (let n = 2; n < below; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
});
export const spin = task({ name: "spin", isolate: "thread" }, (): void => {
  for (;;);
});
export const crash = task({ name: "crash", isolate: "process" }, (): void => process.abort());
export const double = task({ name: "double", isolate: "process", maxMemoryMb: 128 }, (n: number) => n * 2);
