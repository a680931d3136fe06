/** What V8 is told to optimize when, and the parser that stays as it is compiled at first: only where V8 is known to be able to. */
import { spawnSync } from "node:child_process";
import { expect, test, vi } from "vitest";
import { compileParser, parserGuard, parserName } from "../../../../src/sessions/module/tier-up.ts";
import { insertOnEntry } from "../../../../src/sessions/wasm/module.ts";
import { webAssembly } from "../../../../src/sessions/wasm/web-assembly.ts";
import { currentPGlite } from "../../../support/pglite-versions.ts";
import { smallModule } from "../small-module.ts";

const parser = () => {
  const parse = vi.fn(() => 0);
  return { exports: { [parserName]: parse }, parse };
};

test("is compiled with the versions of V8 that were looked at, and left alone with others", () => {
  for (const known of ["11.3.244.8-node.46", "12.4.254.21-node.57", "13.6.233.17-node.53", process.versions.v8]) {
    const { exports, parse } = parser();
    compileParser(exports, known);
    expect(parse.mock.calls).toEqual([[0, 0]]);
  }
  for (const unknown of ["10.2.154", "15.0.1", "1.4", ""]) {
    const { exports, parse } = parser();
    compileParser(exports, unknown);
    expect(parse).not.toHaveBeenCalled();
  }
});

test("is left alone where there is none", () => {
  compileParser({});
  expect(insertOnEntry(smallModule(), parserName, parserGuard)).toBeUndefined();
});

test("nothing is said on stderr, where V8 complains of unknown flags", () => {
  const url = new URL("../../../../src/sessions/module/tier-up.ts", import.meta.url);
  const calls = `optimizeSooner(); compileParser({ ${parserName}: () => 0 });`;
  const code = `import { compileParser, optimizeSooner } from ${JSON.stringify(url.href)}; ${calls}`;
  const { status, stderr } = spawnSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", code]);
  expect([status, stderr.toString()]).toEqual([0, ""]);
});

test("the guard leaves PGlite's module valid", () => {
  const { binary: stock } = currentPGlite;
  const guarded = insertOnEntry(stock, parserName, parserGuard)!;
  expect(guarded.length).toBeGreaterThanOrEqual(stock.length + parserGuard.length);
  expect(webAssembly.validate(guarded)).toBe(true);
});
