import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (name: string): string =>
  fileURLToPath(new URL(`packages/${name}/src/index.ts`, import.meta.url));

// Tests import sources, not builds; processes that they start run the builds, as users do.
export default defineConfig({
  resolve: {
    alias: {
      "zerotask-core": source("core"),
      "zerotask-broker": source("broker"),
      "zerotask-node": source("node"),
      "zerotask-client": source("client"),
      "zerotask-testing": source("testing"),
    },
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: "forks",
  },
});
