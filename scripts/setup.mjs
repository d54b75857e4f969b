// Sets a checkout up with nothing but Node and npm: installs what the lockfile says, and builds.
import { run } from "./run.mjs";

run("npx", ["-y", "pnpm@12.21.0", "install", "--frozen-lockfile"]);
run("node_modules/.bin/tsc", ["-b"]);
