/**
 * The ready line in its three forms.
 */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { readyText } from "../../../src/cli/ready-text.ts";
import type { DevDb } from "../../../src/dev-db/handle.ts";

const db = {
  url: "postgresql://postgres:postgres@127.0.0.1:6543/postgres",
  host: "127.0.0.1",
  port: 6543,
  socketDir: undefined,
  user: "postgres",
  database: "postgres",
  sessions: "isolated",
  version: "18.6",
  migrationsApplied: ["0000_first"],
  ms: 1234,
  env: { DATABASE_URL: "postgresql://postgres:postgres@[::1]:6543/postgres", PGHOST: "::1" },
} as unknown as DevDb;

const context = { data: "in memory, gone when this process ends. To keep it: pglite-devdb --db ./data", pid: 42 };

describe("text", () => {
  test("in memory it says so, and how to keep the data", () => {
    expect(readyText("text", db, context)).toBe(
      [
        "PostgreSQL 18.6 is ready (1 migration applied, 1.2 s)",
        "",
        "  URL   postgresql://postgres:postgres@127.0.0.1:6543/postgres",
        "  psql  psql postgresql://postgres:postgres@127.0.0.1:6543/postgres",
        "  data  in memory, gone when this process ends. To keep it: pglite-devdb --db ./data",
        "",
        "",
      ].join("\n"),
    );
  });

  test("with a directory it names it in full, and with a socket how to use that", () => {
    const text = readyText("text", { ...db, socketDir: "/tmp/it's here" }, { ...context, data: "/app/data" });
    expect(text).toContain("  data  /app/data\n");
    expect(text).toContain("psql -h '/tmp/it'\\''s here' -p 6543 -U postgres\n");
    expect(text).not.toContain("To keep it");
    const named = { ...db, socketDir: "/tmp", user: "app", database: "it's" };
    expect(readyText("text", named, context)).toContain("psql -h /tmp -p 6543 -U app 'it'\\''s'\n");
  });
});

test("the certificate for clients that verify is named", () => {
  const withTls = { ...db, certificateFile: "/tmp/x/certificate.pem" };
  expect(readyText("text", withTls, context)).toContain("  TLS   certificate: /tmp/x/certificate.pem\n");
  expect(JSON.parse(readyText("json", withTls, context)).certificateFile).toBe("/tmp/x/certificate.pem");
});

test("json is one line", () => {
  const text = readyText("json", db, context);
  expect(text.indexOf("\n")).toBe(text.length - 1);
  expect(JSON.parse(text)).toEqual({
    url: db.url,
    host: "127.0.0.1",
    port: 6543,
    socketDir: null,
    database: "postgres",
    pid: 42,
    version: "18.6",
    sessions: "isolated",
    migrationsApplied: ["0000_first"],
    ms: 1234,
  });
});

test("env quotes what a shell would change, so that a shell reads every password back", () => {
  const passwords = ["plain-1.2", "two words", "it's", 'a$HOME`id`\\"!', "it's $HOME", "ä;&|<>(){}*?#~"];
  for (const password of passwords) {
    const lines = readyText("env", { ...db, env: { PGPASSWORD: password } }, context);
    expect(lines.trim().split("\n")).toHaveLength(1);
    const shell = spawnSync("sh", ["-c", `${lines}printf %s "$PGPASSWORD"`], { encoding: "utf8" });
    expect(shell.stdout).toBe(password);
  }
});

test("env is assignments and nothing else", () => {
  expect(readyText("env", db, context)).toBe(
    "DATABASE_URL=postgresql://postgres:postgres@[::1]:6543/postgres\nPGHOST=::1\n",
  );
});
