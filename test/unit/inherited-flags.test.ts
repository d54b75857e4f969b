import { expect, it } from "vitest";
import { inheritedFlags } from "../../packages/node/src/executors/inherited-flags.ts";

it("passes on flags, but for a debugger's and for code", () => {
  const flags = [
    "--conditions=dev",
    "--inspect-brk=0",
    "-e",
    "1",
    "--eval=2",
    "--print=3",
    "-p",
    "4",
    "--no-warnings",
  ];
  expect(inheritedFlags(flags)).toEqual(["--conditions=dev", "--no-warnings"]);
});
