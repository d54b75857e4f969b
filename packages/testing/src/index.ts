// What the tests of those who use ZeroTask take.
export type { Clock } from "./clock.ts";
export {
  type TestCluster,
  type TestClusterOptions,
  testCluster,
  type VirtualTestCluster,
} from "./cluster.ts";
