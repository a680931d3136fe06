/** The role of an agent on a server that is not ours. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dropDirectory, makeDirectory } from "../../scripts/bench/leftovers.ts";
import { AgentBranch } from "../../src/dev-db/agent/agent-branch.ts";
import { ServerClient } from "../../src/dev-db/server-client.ts";
import { executeSql } from "../../src/engine/execute-sql.ts";
import { startRealPostgres } from "../support/real-postgres.ts";
import { requireNative } from "./support/native.ts";

test("an agent's role on a foreign server does not have the superuser's password", async (context) => {
  requireNative(context);
  const directory = makeDirectory();
  const hba = join(directory, "hba.conf");
  writeFileSync(hba, "host all postgres all trust\nhost all all all scram-sha-256\n");
  chmodSync(directory, 0o755);
  chmodSync(hba, 0o644);
  const server = await startRealPostgres({ hba_file: hba });
  try {
    const at = (login: string) => `postgresql://${login}@127.0.0.1:${server.port}/postgres`;
    const limits = { mayWrite: false, statementTimeoutMs: 10_000, keeps: false };
    const branch = new AgentBranch({ source: async () => at("postgres:superuser"), ...limits });
    const role = await branch.use(
      async (client) => (await executeSql(client, "select current_user")).at(-1)!.rows[0]![0],
    );
    const login = ServerClient.connect(at(`${role}:superuser`));
    await expect(login.finally(() => branch.end())).rejects.toMatchObject({ code: "28P01" });
  } finally {
    await server.stop();
    dropDirectory(directory);
  }
});
