/** Servers that refuse, close at once or never answer: each command says so in one line. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DevDb, startDevDb } from "../../src/index.ts";
import { runCli, temporaryDirectory } from "../support/cli-process.ts";
import { selfSigned } from "../support/self-signed.ts";

let server: DevDb;
beforeAll(async () => {
  server = await startDevDb({ port: 0, migrations: "none", password: "right" });
});
afterAll(() => server.close());

async function listener(behave: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const listening = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    behave(socket);
  });
  await new Promise<void>((ready) => listening.listen(0, "127.0.0.1", ready));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return `postgresql://u:p@127.0.0.1:${(listening.address() as { port: number }).port}/db`;
}

const commands: readonly [string, (url: string) => string[]][] = [
  ["dump", (url) => ["dump", url]],
  ["restore", (url) => ["restore", "dump.sql", url]],
  ["branch", (url) => ["branch", "--url", url]],
  ["branch ls", (url) => ["branch", "ls", "--url", url]],
  ["branch diff", (url) => ["branch", "diff", "a", "--url", url]],
  ["clock", (url) => ["clock", "--url", url]],
  ["snapshot", (url) => ["snapshot", "ls", "--url", url]],
  ["reset", (url) => ["reset", "--url", url]],
  ["doctor", (url) => ["doctor", url]],
];

async function say(argsOf: (url: string) => string[], url: string) {
  const cwd = temporaryDirectory();
  writeFileSync(join(cwd, "dump.sql"), "select 1;\n");
  const { code, stdout, stderr } = await runCli(argsOf(url), { cwd });
  return { code, said: `${stdout}${stderr}` };
}

describe.each(commands)("%s", (_, argsOf) => {
  test.each<[string, () => string | Promise<string>, RegExp]>([
    ["a wrong password", () => server.url.replace("right", "wrong"), /password authentication failed/],
    ["a missing database", () => server.url.replace(/\/postgres$/, "/nowhere"), /"nowhere(~\w+)?" does not exist/],
    ["a server that closes at once", () => listener((socket) => void socket.resume().end()), /closed the connection/],
    [
      "a server that never answers",
      async () => `${await listener((socket) => void socket.resume())}?connect_timeout=2`,
      /no answer within 2 s/,
    ],
  ])("says in one line what is wrong with %s", async (_, url, why) => {
    const { code, said } = await say(argsOf, await url());
    expect(code).not.toBe(0);
    expect(said).toMatch(why);
    expect(said.trimEnd().split("\n")).toHaveLength(1);
    expect(said).not.toMatch(/right|wrong@|:p@/);
  });
});

test("run --engine says in one line that the server closed the connection", async () => {
  const end = await runCli(["run", "--engine", await listener((socket) => void socket.resume().end()), "--", "true"]);
  expect(end.code).not.toBe(0);
  expect(end.stderr).toMatch(/closed the connection/);
  expect(end.stderr).not.toMatch(/^ +at /m);
});

describe("--tls auto", () => {
  test.each<[string, (directory: string) => string]>([
    ["is missing", (directory) => join(directory, "nowhere")],
    [
      "is a file",
      (directory) => {
        writeFileSync(join(directory, "file"), "");
        return join(directory, "file");
      },
    ],
  ])("says in one line that the temporary directory %s", async (_, placeOf) => {
    const TMPDIR = placeOf(temporaryDirectory());
    const args = ["run", "--tls", "auto", "--port", "0", "--migrations", "none", "--", "true"];
    const { code, stderr } = await runCli(args, { environment: { TMPDIR } });
    expect(code).toBe(2);
    expect(stderr).toMatch(new RegExp(`--tls.*${TMPDIR}.*(ENOENT|ENOTDIR)`));
    expect(stderr).not.toMatch(/^ +at /m);
  });

  /** A file system with room for so many files; undefined where this user may not mount one. */
  function small(inodes: number): string | undefined {
    const directory = temporaryDirectory();
    const options = ["-t", "tmpfs", "-o", `size=4k,nr_inodes=${inodes}`, "tmpfs", directory];
    if (spawnSync("mount", options).status !== 0) return undefined;
    onTestFinished(() => void spawnSync("umount", [directory]));
    return directory;
  }

  test.for([1, 2, 3])(
    "says in one line that the temporary directory is full after %d files",
    async (inodes, context) => {
      const TMPDIR = small(inodes);
      if (TMPDIR === undefined) return context.skip("needs the right to mount a file system");
      const trusted = join(temporaryDirectory(), "trusted.pem");
      writeFileSync(trusted, `${selfSigned().cert}\n`.repeat(9));
      const args = [
        "run",
        "--tls",
        "auto",
        "--port",
        "0",
        "--migrations",
        "none",
        "--log-level",
        "error",
        "--",
        "true",
      ];
      const { code, stderr } = await runCli(args, { environment: { TMPDIR, NODE_EXTRA_CA_CERTS: trusted } });
      expect(code).toBe(2);
      expect(stderr).toMatch(new RegExp(`^pglite-devdb: (--tls|run): .*${TMPDIR}: ENOSPC.*\n$`));
    },
  );
});
