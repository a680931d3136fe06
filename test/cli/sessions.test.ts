/**
 * Which sessions a server has by itself and when asked for them: own ones, or one for all with a warning, or a refusal.
 *
 * Here on this Node, with one PGlite of each kind; other Nodes, other damages and the cache are in `sessions.long.test.ts`.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { temporaryDirectory } from "../support/cli-process.ts";
import { install } from "../support/installation.ts";
import { consequence, expectRefusal, failed, patternTwice, serve, tooOld, trapForAWait } from "./support/sessions.ts";

test.each([trapForAWait])(
  "with a PGlite %s the default is shared sessions and one warning",
  { tags: "long" },
  async (_, binary, reason) => {
    const { sessions, warnings } = await serve(install({ isolatedByDefault: true, binary: binary() }));
    expect({ sessions, warnings }).toEqual({
      sessions: "shared",
      warnings: [expect.stringContaining(`warning: ${failed}${reason}${consequence}`)],
    });
  },
);

test.each([patternTwice])(
  "with a PGlite %s isolated sessions are refused to who asks for them",
  async (_, binary, reason) => {
    await expectRefusal(install({ binary: binary() }), `${failed}${reason}`);
  },
);

test("with the product's PGlite the default, once it is isolated, is that, without a warning or a self-check", {
  tags: "long",
}, async () => {
  const { sessions, warnings, stderr } = await serve(install({ isolatedByDefault: true }), ["--log-level", "debug"]);
  expect({ sessions, warnings }).toEqual({ sessions: "isolated", warnings: [] });
  expect(stderr).not.toContain("self-check");
});

const script = "data:text/javascript,delete WebAssembly.Suspending; delete WebAssembly.promising";
const environment = { NODE_OPTIONS: `--import ${JSON.stringify(script)}` };

test("on a Node without JSPI (simulated: its functions are taken away) the default is shared sessions, own ones are refused", async () => {
  const { sessions, warnings } = await serve(install({ isolatedByDefault: true }), [], { environment });
  expect({ sessions, warnings: warnings.length }).toEqual({ sessions: "shared", warnings: 1 });
  await expectRefusal(install(), tooOld(process.version), { environment });
});

test("a library's user without a log is warned by the process, once, that all share one session (simulated as above)", {
  tags: "long",
}, async () => {
  const installation = install({ isolatedByDefault: true });
  const program = `
    const { startDevDb } = await import(${JSON.stringify(pathToFileURL(join(dirname(installation.cli), "index.js")).href)});
    for (let n = 0; n < 2; n++) await (await startDevDb({ port: 0, migrations: "none" })).close();`;
  const file = join(temporaryDirectory(), "program.mjs");
  writeFileSync(file, program);
  const { stderr, status } = spawnSync(process.execPath, [file], {
    encoding: "utf8",
    env: { ...process.env, ...installation.environment, ...environment },
  });
  expect(status, stderr).toBe(0);
  const warnings = stderr.split("\n").filter((line) => line.includes("PgliteDevDbWarning"));
  expect(warnings).toEqual([expect.stringContaining(`${tooOld(process.version)}${consequence}`)]);
});
