/**
 * A process that may have few files open, and sessions that open many: none of them fails for what the others have.
 *
 * @module-tag long
 */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { startCli, temporaryDirectory } from "../support/cli-process.ts";
import { initializedDirectory, initializeTemplate } from "../support/data-directory.ts";
import { errorFields, rows, WireClient } from "../support/wire-client.ts";

beforeAll(initializeTemplate);

const tables = 120;

test.skipIf(process.platform !== "linux")(
  "three sessions read 120 tables each where 500 files may be open",
  async () => {
    const node = join(temporaryDirectory(), "node");
    writeFileSync(node, `#!/bin/sh\nulimit -n 500\nexec '${process.execPath}' "$@"\n`);
    chmodSync(node, 0o755);
    const args = ["--port", "0", "-o", "json", "--db", initializedDirectory(), "--max-connections", "3"];
    const cli = startCli([...args, "--sessions", "isolated"], { node });
    const endpoint = JSON.parse((await cli.line(/^.*\n/))[0]!) as { host: string; port: number };
    const makes = `do $$begin for i in 1..${tables} loop
    execute format('create table t%s (n int primary key); insert into t%s values (%s)', i, i, i); end loop; end$$`;
    const sum = `select sum(n)::text from (${Array.from({ length: tables }, (_, n) => `select n from t${n + 1}`).join(" union all ")}) x`;
    const clients = await Promise.all([1, 2, 3].map(() => WireClient.login(endpoint)));
    expect(errorFields(await clients[0]!.query(makes))).toBeUndefined();
    for (let round = 0; round < 3; round++) {
      for (const client of clients) {
        const answer = await client.query(sum);
        expect(errorFields(answer)).toBeUndefined();
        expect(rows(answer)).toEqual([[String((tables * (tables + 1)) / 2)]]);
      }
    }
    for (const client of clients) client.destroy();
  },
);
