// The simulation's clock, chance and processes: those that users test with.
export { SimulatedProcess } from "../../packages/testing/src/timeline.ts";
export { begin, VirtualTime as Simulator } from "../../packages/testing/src/virtual-time.ts";
