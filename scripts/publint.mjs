// Checks that each package would be published as it should be.
import { run } from "./run.mjs";

for (const name of ["core", "broker", "node", "client", "testing"]) {
  run("node_modules/.bin/publint", ["--strict", "--pack", "npm", `packages/${name}`]);
}
