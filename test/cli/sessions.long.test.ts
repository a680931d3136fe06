/**
 * As `sessions.test.ts`, on an older Node, with PGlites that are damaged in more ways, with a directory that has seen both
 * kinds of sessions, and with a cache that is of no use: most of it is first starts.
 *
 * @module-tag long
 */
import { readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, type TestContext, test } from "vitest";
import { runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { install } from "../support/installation.ts";
import { requireNodeWithoutParking } from "../support/other-node.ts";
import { withATrapForAWait } from "../support/pglite-versions.ts";
import {
  anotherLayout,
  client,
  consequence,
  endlessWait,
  expectRefusal,
  failed,
  patternTwice,
  serve,
  start,
  tooOld,
} from "./support/sessions.ts";

test.each([patternTwice, anotherLayout, endlessWait])(
  "with a PGlite %s the default is shared sessions and one warning",
  async (_, binary, reason) => {
    const { sessions, warnings } = await serve(install({ isolatedByDefault: true, binary: binary() }));
    expect({ sessions, warnings }).toEqual({
      sessions: "shared",
      warnings: [expect.stringContaining(`warning: ${failed}${reason}${consequence}`)],
    });
  },
);

test.each([endlessWait])(
  "with a PGlite %s isolated sessions are refused to who asks for them",
  async (_, binary, reason) => {
    await expectRefusal(install({ binary: binary() }), `${failed}${reason}`);
  },
);

test("a data directory is as good as before after a fallback, and after a refusal", async () => {
  const installation = install({ isolatedByDefault: true, binary: withATrapForAWait() });
  const cwd = temporaryDirectory();
  const { sessions } = await serve(installation, ["--db", "data"], { cwd });
  expect(sessions).toBe("shared");
  const refused = ["start", "--port", "0", "--db", "data", "--sessions", "isolated"];
  const { cli, environment } = installation;
  expect((await runCli(refused, { cli, environment, cwd })).code).toBe(2);
  const sound = startCli([...start, "--db", "data", "--sessions", "isolated"], { cwd });
  const [line] = await sound.line(/^\{.*\}\n/);
  expect(await client(JSON.parse(line!).url)`select x from kept`).toEqual([{ x: 1 }]);
});

describe("on an older Node", () => {
  const olderNode = (context: TestContext) => {
    const older = requireNodeWithoutParking(context);
    return { node: older.path, reason: tooOld(older.version) };
  };

  test("the default is shared sessions and one warning", async (context) => {
    const { node, reason } = olderNode(context);
    const { sessions, warnings } = await serve(install({ isolatedByDefault: true }), [], { node });
    expect({ sessions, warnings }).toEqual({
      sessions: "shared",
      warnings: [expect.stringContaining(`warning: ${reason}${consequence}`)],
    });
    expect((await serve(install(), ["--sessions", "shared"], { node })).warnings).toEqual([]);
  });

  test("isolated sessions are refused to who asks for them", async (context) => {
    const { node, reason } = olderNode(context);
    const { cli, environment } = install();
    await expectRefusal({ cli, environment }, reason, { node });
    const asked = { ...environment, DEV_DB_SESSIONS: "isolated" };
    const { code, stderr } = await runCli(start, { cli, node, environment: asked });
    expect({ code, stderr }).toEqual({ code: 2, stderr: `pglite-devdb: DEV_DB_SESSIONS: ${reason}\n` });
  });

  test("run gives its command a server", async (context) => {
    const { node } = olderNode(context);
    const code = "require('net').connect(process.env.PGPORT, process.env.PGHOST, () => process.exit(7))";
    expect(await runCli(["run", "--port", "0", "--", node, "-e", code], { node })).toMatchObject({ code: 7 });
  });
});

test("a cache that is damaged, is not writable or has no place does not keep isolated sessions from a server", async () => {
  const installation = install();
  const isolated = async (environment: Record<string, string> = {}) =>
    (await serve({ ...installation, environment: { ...installation.environment, ...environment } }, asked)).sessions;
  const asked = ["--sessions", "isolated"];
  // What came from the user's cache may be of other PGlites, and then this one does not make it again.
  rmSync(installation.cache, { recursive: true, force: true });
  expect(await isolated()).toBe("isolated");
  const all = readdirSync(installation.cache).map((name) => join(installation.cache, name));
  // V8's code and the snapshot of a boot are written where there is time for it, and are not always as long.
  const kept = all.filter((file) => !/^(code|snapshot)-/.test(basename(file)));
  expect(kept.length).toBeGreaterThan(0);
  const sizes = () => kept.map((file) => statSync(file).size);
  const whole = sizes();
  for (const file of all) truncateSync(file, statSync(file).size >> 1);
  expect(await isolated()).toBe("isolated");
  expect(sizes()).toEqual(whole);
  const [file] = kept as [string];
  // No directory can be made in a file.
  expect(await isolated({ XDG_CACHE_HOME: file })).toBe("isolated");
  expect(await isolated({ XDG_CACHE_HOME: "", HOME: "" })).toBe("isolated");
});
