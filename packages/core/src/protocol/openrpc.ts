// The OpenRPC document that `rpc.discover` answers with (OpenRPC 1.3.2).
import type { MethodTraits } from "./method-options.ts";

/** A method as a node or broker tells of it. */
export interface MethodDescription extends MethodTraits {
  readonly name: string;
  /** Names of its parameters, in order, where the handler declared them. */
  readonly params?: readonly string[];
}

export interface OpenRpcDocument {
  readonly openrpc: "1.3.2";
  readonly info: { readonly title: string; readonly version: string };
  readonly methods: readonly OpenRpcMethod[];
}

export interface OpenRpcMethod {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly schema: true }[];
  readonly result: { readonly name: "result"; readonly schema: true };
  readonly paramStructure: "either" | "by-position";
}

/** Types are not known at run time, so every schema is `true`: anything. */
export function openRpcDocument(methods: Iterable<MethodDescription>, version: string): OpenRpcDocument {
  const sorted = [...methods].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    openrpc: "1.3.2",
    info: { title: "ZeroTask", version },
    methods: sorted.map(({ name, params }) => ({
      name,
      params: (params ?? []).map((param) => ({ name: param, schema: true })),
      result: { name: "result", schema: true },
      paramStructure: params === undefined ? "by-position" : "either",
    })),
  };
}
