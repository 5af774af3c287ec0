#!/usr/bin/env -S node --no-warnings
// run-wasi.mjs FILE ARGS...: runs a test binary of wasm32-wasip1 in V8, the engine that Envoy has.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const args = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args, preopens: { "/": "/" } });
const module = await WebAssembly.compile(await readFile(args[0]));
const imports = wasi.getImportObject();
// The filter imports functions of Envoy. No test of the core calls one.
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  imports[from][name] ??= () => {
    throw new Error(`only Envoy has ${from}.${name}`);
  };
}
const instance = await WebAssembly.instantiate(module, imports);
// Node refuses a command that exports `_initialize` too, as the filter does.
const { memory, _start } = instance.exports;
process.exitCode = wasi.start({ exports: { memory, _start } });
