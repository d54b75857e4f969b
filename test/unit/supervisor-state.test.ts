import { describe, expect, it } from "vitest";
import {
  type ProcessEnd,
  type SupervisorEffect,
  SupervisorState,
} from "../../packages/node/src/supervisor/state/supervisor-state.ts";

interface Driven {
  begin(): SupervisorEffect[];
  ready(process: number): SupervisorEffect[];
  exited(process: number, end: ProcessEnd): SupervisorEffect[];
  changed(): SupervisorEffect[];
  stop(): SupervisorEffect[];
  pass(ms: number): SupervisorEffect[];
}

/** What it does, but for when it wants to be woken. */
function supervisor(places: number, isWatching = false): Driven {
  let now = 1_000;
  const state = new SupervisorState({ places, isWatching, killMs: 3_000, random: () => 1 });
  const handle: (...args: Parameters<SupervisorState["handle"]>) => SupervisorEffect[] = (event, at) =>
    state.handle(event, at).filter(({ type }) => type !== "wake");
  return {
    begin: () => handle({ type: "begin" }, now),
    ready: (process) => handle({ type: "ready", process }, now),
    exited: (process, end) => handle({ type: "exited", process, end }, now),
    changed: () => handle({ type: "changed" }, now),
    stop: () => handle({ type: "stop" }, now),
    pass: (ms) => {
      now += ms;
      return handle({ type: "tick" }, now);
    },
  };
}

const spawn = (process: number, place: number, generation = 1): SupervisorEffect => ({
  type: "spawn",
  process,
  place,
  generation,
});
const later = (place: number, afterMs: number): SupervisorEffect => ({
  type: "restart-later",
  place,
  afterMs,
});

describe("processes", () => {
  it("starts one in each place, and is ready once all are", () => {
    const { begin, ready } = supervisor(2);
    expect(begin()).toEqual([spawn(1, 1), spawn(2, 2)]);
    expect(ready(2)).toEqual([]);
    expect(ready(1)).toEqual([{ type: "ready" }]);
  });

  it("starts one that crashed again, later with each crash in a row, but not without end", () => {
    const { begin, exited, pass } = supervisor(1);
    begin();
    const waits = Array.from({ length: 10 }, (_, i) => {
      const [effect] = exited(i + 1, "crashed");
      if (effect?.type !== "restart-later") throw new Error(`Expected a restart, got ${effect?.type}`);
      expect(pass(effect.afterMs - 1)).toEqual([]);
      expect(pass(1)).toEqual([spawn(i + 2, 1)]);
      return effect.afterMs;
    });
    expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
  });

  it("counts crashes anew after one that served for a while", () => {
    const { begin, ready, exited, pass } = supervisor(1);
    begin();
    exited(1, "crashed");
    pass(200);
    ready(2);
    pass(29_999);
    expect(exited(2, "crashed")).toEqual([later(1, 400)]);
    pass(400);
    ready(3);
    pass(30_000);
    expect(exited(3, "crashed")).toEqual([later(1, 200)]);
  });

  it("starts one again that ended as if it were done before it ever served", () => {
    const { begin, exited } = supervisor(1);
    begin();
    expect(exited(1, "left")).toEqual([later(1, 200)]);
  });

  it("ends all, with a code of its own, when one can't start", () => {
    const { begin, ready, exited } = supervisor(2);
    begin();
    ready(1);
    expect(exited(2, "refused")).toEqual([{ type: "terminate", process: 1 }]);
    expect(exited(1, "left")).toEqual([{ type: "leave", code: 1 }]);
  });

  it("starts one again later that served once and then can't start, and leaves the others alone", () => {
    const { begin, ready, exited, pass } = supervisor(2);
    begin();
    ready(1);
    ready(2);
    expect(exited(2, "crashed")).toEqual([later(2, 200)]);
    expect(pass(200)).toEqual([spawn(3, 2)]);
    expect(exited(3, "refused")).toEqual([later(2, 400)]);
    expect(pass(400)).toEqual([spawn(4, 2)]);
    expect(ready(4)).toEqual([]);
  });

  it("leaves when each has left for want of work", () => {
    const { begin, ready, exited, pass } = supervisor(2);
    begin();
    ready(1);
    expect(exited(1, "left")).toEqual([]);
    ready(2);
    expect(pass(100_000)).toEqual([]);
    expect(exited(2, "left")).toEqual([{ type: "leave", code: 0 }]);
  });

  it("ends all when it is told to, and kills what does not end", () => {
    const { begin, ready, exited, stop, pass } = supervisor(2);
    begin();
    ready(1);
    ready(2);
    expect(stop()).toEqual([1, 2].map((process) => ({ type: "terminate", process })));
    expect(stop()).toEqual([]);
    expect(exited(1, "left")).toEqual([]);
    expect(pass(2_999)).toEqual([]);
    expect(pass(1)).toEqual([{ type: "kill", process: 2 }]);
    expect(exited(2, "crashed")).toEqual([{ type: "leave", code: 0 }]);
  });

  it("starts nothing any more once it was told to end", () => {
    const { begin, exited, stop, pass } = supervisor(1);
    begin();
    exited(1, "crashed");
    expect(stop()).toEqual([{ type: "leave", code: 0 }]);
    expect(pass(100_000)).toEqual([]);
  });
});

describe("changed modules", () => {
  const running = (places = 1): Driven => {
    const driven = supervisor(places, true);
    driven.begin();
    for (let process = 1; process <= places; process++) driven.ready(process);
    return driven;
  };

  it("replaces each process, which is drained once its successor serves", () => {
    const { changed, pass, ready, exited } = running(2);
    expect(changed()).toEqual([]);
    expect(pass(100)).toEqual([spawn(3, 1, 2), spawn(4, 2, 2)]);
    expect(ready(4)).toEqual([{ type: "drain", process: 2 }]);
    expect(ready(3)).toEqual([{ type: "drain", process: 1 }]);
    expect(exited(1, "left")).toEqual([]);
    expect(exited(2, "crashed")).toEqual([]);
  });

  it("takes a burst of changes for one, and does not wait for its end for ever", () => {
    const { changed, pass } = running();
    const waited = Array.from({ length: 12 }, () => {
      changed();
      return pass(90).length;
    });
    expect(waited).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  it.each<ProcessEnd>(["refused", "crashed"])("keeps the old process when its successor %s", (end) => {
    const { changed, pass, ready, exited } = running();
    changed();
    pass(100);
    expect(exited(2, end)).toEqual([{ type: "not-replaced", place: 1, isServed: true }]);
    expect(pass(100_000)).toEqual([]);
    changed();
    expect(pass(100)).toEqual([spawn(3, 1, 3)]);
    expect(ready(3)).toEqual([{ type: "drain", process: 1 }]);
  });

  it("replaces a successor that is still starting when the modules change again", () => {
    const { changed, pass, ready } = running();
    changed();
    pass(100);
    changed();
    expect(pass(100)).toEqual([{ type: "drain", process: 2 }, spawn(3, 1, 3)]);
    expect(ready(2)).toEqual([]);
    expect(ready(3)).toEqual([{ type: "drain", process: 1 }]);
  });

  it("does not count one that was replaced before it served", () => {
    const { begin, changed, pass, ready } = supervisor(1, true);
    begin();
    for (let i = 0; i < 2; i++) {
      changed();
      pass(100);
    }
    expect(ready(2)).toEqual([]);
    expect(ready(3)).toEqual([{ type: "drain", process: 1 }, { type: "ready" }]);
  });

  it("lets the successor take over when the old one crashes meanwhile", () => {
    const { changed, pass, ready, exited } = running();
    changed();
    pass(100);
    expect(exited(1, "crashed")).toEqual([]);
    expect(ready(2)).toEqual([]);
    expect(exited(2, "crashed")).toEqual([later(1, 200)]);
  });

  it("waits for the next change when what crashed can't start any more", () => {
    const { changed, pass, exited } = running();
    exited(1, "crashed");
    pass(200);
    expect(exited(2, "refused")).toEqual([{ type: "not-replaced", place: 1, isServed: false }]);
    expect(pass(100_000)).toEqual([]);
    changed();
    expect(pass(100)).toEqual([spawn(3, 1, 2)]);
  });

  it("starts what waits to be started again at once", () => {
    const { changed, pass, exited } = running();
    exited(1, "crashed");
    changed();
    expect(pass(100)).toEqual([spawn(2, 1, 2)]);
    expect(pass(100_000)).toEqual([]);
  });

  it("waits for those that were replaced and still run something", () => {
    const { changed, pass, ready, exited, stop } = running();
    changed();
    pass(100);
    ready(2);
    expect(exited(2, "left")).toEqual([]);
    expect(exited(1, "left")).toEqual([{ type: "leave", code: 0 }]);
    expect(stop()).toEqual([]);
  });
});
