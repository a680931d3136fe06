/**
 * `pglite-devdb mcp` as a process, with what it writes and its exit code.
 *
 * Owns: the first messages, sent as they are. Does not own: a conversation (`mcp-client.ts`).
 * Invariant: no process outlives its test.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../../support/cli-process.ts";
import { builtCli } from "./built-cli.ts";

/** What an agent's program sends at first, and a request of its. */
const asked = [
  {
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "raw", version: "1" } },
  },
  { method: "notifications/initialized" },
  { id: 2, method: "tools/call", params: { name: "schema", arguments: {} } },
].map((message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);

/** It, or with `by` a program that starts it, as a process of its own that has been asked for the tables. */
export function spawnAgent(
  url: string | undefined,
  cwd = temporaryDirectory(),
  args: readonly string[] = [],
  by?: string,
) {
  const { DATABASE_URL: _, ...environment } = process.env;
  const child = spawn(process.execPath, by === undefined ? [builtCli, "mcp", ...args] : ["-e", by], {
    cwd,
    env: { ...environment, ...(url !== undefined && { DATABASE_URL: url }) },
    stdio: ["pipe", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  if (by === undefined) child.stdin.write(asked.join(""));
  let [stdout, stderr] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const answered = new Promise<string>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (stdout.includes('"id":2}\n')) resolve(stdout);
    });
  });
  const ended = once(child, "close").then(([code]) => code);
  return { child, answered, stdout: () => stdout, stderr: () => stderr, ended };
}

/** A program that starts it, and can be killed. */
export const agentProgram = `const mcp = require("child_process").spawn(process.execPath, ${JSON.stringify([builtCli, "mcp"])}, { stdio: ["pipe", "inherit", "inherit"] });
  mcp.stdin.write(${JSON.stringify(asked.join(""))}); process.stdin.on("end", () => mcp.stdin.end()).resume();`;

/** The branches and roles of agents that there are. */
export const leftoversSql =
  "select datname from pg_database where datname like '%mcp%' union all select rolname from pg_roles where rolname like '%mcp%'";
