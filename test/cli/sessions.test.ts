/**
 * Which sessions the connections get: isolated ones, or, where these cannot be had, shared ones or an error.
 *
 * The program is a copy of the built one. In the tests of the default, isolated sessions are made that in the copy.
 */
import { readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { type CliSettings, runCli, startCli, temporaryDirectory } from "../support/cli-process.ts";
import { type Installation, install } from "../support/installation.ts";
import { findNodeWithoutParking } from "../support/other-node.ts";
import {
  withAnEndlessWait,
  withAnotherLayout,
  withAPatternTwice,
  withATrapForAWait,
} from "../support/pglite-versions.ts";

const consequence = "; all connections share one PostgreSQL session, as with --sessions shared";
const start = ["start", "--port", "0", "--migrations", "none", "-o", "json"];
const failed = "isolated sessions failed their self-check with this PGlite: ";

/** Starts the program until it is ready, asks it something, and ends it. Returns what it said and how it ended. */
async function serve(installation: Installation, args: readonly string[] = [], settings: CliSettings = {}) {
  const environment = { ...installation.environment, ...settings.environment };
  const cli = startCli([...start, ...args], { ...settings, cli: installation.cli, environment });
  const [line] = await cli.line(/^\{.*\}\n/);
  const { url, sessions } = JSON.parse(line!) as { url: string; sessions: string };
  const [one, other] = [client(url), client(url)];
  const pids = await Promise.all([one, other].map((sql) => sql`select pg_backend_pid() as pid`));
  expect(pids[0]![0]!.pid === pids[1]![0]!.pid).toBe(sessions === "shared");
  await one`create table kept as select 1 as x`;
  cli.child.kill("SIGTERM");
  const { code, stderr } = await cli.ended;
  expect(code).toBe(143);
  return { sessions, warnings: stderr.split("\n").filter((text) => /warning/.test(text)), stderr };
}

function client(url: string) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return sql;
}

/** Expects that `--sessions isolated` is refused, and that nothing of the database is made. */
async function expectRefusal(
  installation: Pick<Installation, "cli" | "environment">,
  message: string,
  settings: CliSettings = {},
): Promise<void> {
  const environment = { ...installation.environment, ...settings.environment };
  const cwd = temporaryDirectory();
  const args = [...start, "--db", "data", "--sessions", "isolated"];
  const { code, stderr } = await runCli(args, { ...settings, cli: installation.cli, environment, cwd });
  expect({ code, stderr }).toEqual({ code: 2, stderr: `pglite-devdb: --sessions: ${message}\n` });
  expect(readdirSync(join(cwd, "data"))).toEqual([]);
}

const damages: readonly [string, () => Uint8Array, string][] = [
  [
    "whose binary has one of the rewrite's patterns twice",
    withAPatternTwice,
    'PGlite\'s WebAssembly has 2 places, not one, for a function that refers to "InitProcess"',
  ],
  [
    "whose binary has another layout of a PGPROC (simulated: MyDatabaseId is elsewhere)",
    withAnotherLayout,
    "PGPROC is not laid out as in PostgreSQL 18",
  ],
  ["whose binary traps when a session waits for a lock", withATrapForAWait, "unreachable"],
  [
    "whose binary hangs in the self-check (an endless loop where a session waits for a lock)",
    withAnEndlessWait,
    "it did not get past a wait for a row lock within 10 s",
  ],
];

test.each(damages)("with a PGlite %s the default is shared sessions and one warning", async (_, binary, reason) => {
  const { sessions, warnings } = await serve(install({ isolatedByDefault: true, binary: binary() }));
  expect({ sessions, warnings }).toEqual({
    sessions: "shared",
    warnings: [expect.stringContaining(`warning: ${failed}${reason}${consequence}`)],
  });
});

test.each([damages[0]!, damages.at(-1)!])(
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

test("with the product's PGlite the default, once it is isolated, is that, without a warning or a self-check", async () => {
  const { sessions, warnings, stderr } = await serve(install({ isolatedByDefault: true }), ["--log-level", "debug"]);
  expect({ sessions, warnings }).toEqual({ sessions: "isolated", warnings: [] });
  expect(stderr).not.toContain("self-check");
});

const without = findNodeWithoutParking();
const reason = (version: string) =>
  `isolated sessions need Node 24 or later (WebAssembly JSPI), this is Node ${version}`;

test.skipIf(!without)("on an older Node the default is shared sessions and one warning", async () => {
  const { path: node, version } = without!;
  const { sessions, warnings } = await serve(install({ isolatedByDefault: true }), [], { node });
  expect({ sessions, warnings }).toEqual({
    sessions: "shared",
    warnings: [expect.stringContaining(`warning: ${reason(version)}${consequence}`)],
  });
  expect((await serve(install(), ["--sessions", "shared"], { node })).warnings).toEqual([]);
});

test.skipIf(!without)("on an older Node isolated sessions are refused to who asks for them", async () => {
  const { path: node, version } = without!;
  const { cli, environment } = install();
  await expectRefusal({ cli, environment }, reason(version), { node });
  const asked = { ...environment, DEV_DB_SESSIONS: "isolated" };
  const { code, stderr } = await runCli(start, { cli, node, environment: asked });
  expect({ code, stderr }).toEqual({ code: 2, stderr: `pglite-devdb: DEV_DB_SESSIONS: ${reason(version)}\n` });
});

if (!without) process.stderr.write("test/cli/sessions: NOT RUN on an older Node: there is none in the PATH\n");

test("on a Node without JSPI (simulated: its functions are taken away) the same is so", async () => {
  const script = "data:text/javascript,delete WebAssembly.Suspending; delete WebAssembly.promising";
  const environment = { NODE_OPTIONS: `--import ${JSON.stringify(script)}` };
  const { sessions, warnings } = await serve(install({ isolatedByDefault: true }), [], { environment });
  expect({ sessions, warnings: warnings.length }).toEqual({ sessions: "shared", warnings: 1 });
  await expectRefusal(install(), reason(process.version), { environment });
});

test("a cache that is damaged, is not writable or has no place does not keep isolated sessions from a server", async () => {
  const installation = install();
  const isolated = async (environment: Record<string, string> = {}) =>
    (await serve({ ...installation, environment: { ...installation.environment, ...environment } }, asked)).sessions;
  const asked = ["--sessions", "isolated"];
  expect(await isolated()).toBe("isolated");
  const kept = readdirSync(installation.cache).map((name) => join(installation.cache, name));
  expect(kept.length).toBeGreaterThan(0);
  const sizes = () => kept.map((file) => statSync(file).size);
  const whole = sizes();
  for (const file of kept) truncateSync(file, statSync(file).size >> 1);
  expect(await isolated()).toBe("isolated");
  expect(sizes()).toEqual(whole);
  const [file] = kept as [string];
  // No directory can be made in a file.
  expect(await isolated({ XDG_CACHE_HOME: file })).toBe("isolated");
  expect(await isolated({ XDG_CACHE_HOME: "", HOME: "" })).toBe("isolated");
});
