import { expect, it } from "vitest";
import { World } from "./world.ts";

const seeds = 200;

/** What has to happen in some of them: otherwise the promises about it would be kept for nothing. */
const happening = [
  ...["stop never-started", "stop finished-first", "stop cooperative", "stop killed", "stop unstoppable"],
  ...["start", "reload", "reload NotAllowedError", "reload TaskStoppedError"],
];

it(`keeps its promises for ${seeds} seeds, whatever goes wrong`, async () => {
  const happened = new Set<string>();
  for (let seed = 1; seed <= seeds; seed++) {
    const { acknowledged, interventions } = await new World(seed).run();
    expect(acknowledged).toBeGreaterThan(0);
    for (const kind of Object.keys(interventions)) happened.add(kind);
  }
  expect([...happened]).toEqual(expect.arrayContaining(happening));
}, 600_000);

it("replays a seed exactly", async () => {
  expect(await new World(7).run()).toEqual(await new World(7).run());
});
