import { expect, it } from "vitest";
import { World } from "./world.ts";

const seeds = 300;

it(`keeps its promises for ${seeds} seeds, whatever goes wrong`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { acknowledged } = await new World(seed).run();
    expect(acknowledged).toBeGreaterThan(0);
  }
}, 600_000);

it("replays a seed exactly", async () => {
  expect(await new World(7).run()).toEqual(await new World(7).run());
});
