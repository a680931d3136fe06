/** A process that may open few files: a client for whom there are none is told so, the others go on, and the log says why. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startCli, temporaryDirectory } from "../support/cli-process.ts";
import { errorFields, message, rows, WireClient } from "../support/wire-client.ts";

const tables = Array.from({ length: 80 }, (_, at) => `t${at}`);

test.skipIf(process.platform !== "linux")("the client for whom no files are left gets 53300", async () => {
  const directory = temporaryDirectory();
  const node = join(directory, "node");
  writeFileSync(node, `#!/bin/sh\nulimit -n 700\nexec "${process.execPath}" "$@"\n`);
  chmodSync(node, 0o755);
  const args = ["--port", "0", "-o", "json", "--migrations", "none", "--db", join(directory, "data")];
  const server = startCli(args, { node });
  const address = JSON.parse((await server.line(/^.*\n/))[0]!) as { host: string; port: number };
  const first = await WireClient.login(address);
  onTestFinished(() => first.destroy());
  await first.query(tables.map((name) => `create table ${name} as select 1 as n`).join(";"));
  const all = tables.map((name) => `select count(*) from ${name}`).join(" union all ");
  const clients: WireClient[] = [first];
  for (let code: string | undefined; code !== "53300"; ) {
    const client = await WireClient.connect(address);
    onTestFinished(() => client.destroy());
    client.send(message.startup({ user: "postgres", database: "postgres" }));
    let last = await client.next();
    while (!"EZ".includes(last.type)) last = await client.next();
    code = errorFields([last])?.get("C");
    expect([undefined, "53300"]).toContain(code);
    if (code) break;
    expect(rows(await client.query(all))).toHaveLength(tables.length);
    clients.push(client);
  }
  expect(clients.length).toBeGreaterThan(2);
  for (const client of clients) expect(rows(await client.query(all))).toHaveLength(tables.length);
  await expect.poll(() => server.stdout() + server.stderr()).toMatch(/could not accept a client: too many open files/);
});
