/**
 * `pglite-devdb mcp` as a process, spoken to by the official SDK's client.
 *
 * Owns: starting it as an agent's program does, and the text of its answers. Does not own: what a test expects of them.
 * Invariant: no process outlives its test.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { getDefaultEnvironment, StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../../support/cli-process.ts";
import { builtCli } from "./built-cli.ts";

/** An answer: an error's text begins with `ERROR `. */
type Call = (tool: string, given?: Record<string, unknown>) => Promise<string>;

/** An agent's session. */
export interface McpSession {
  readonly client: Client;
  readonly pid: number;
  readonly call: Call;
  /** One statement. */
  readonly sql: (sql: string, parameters?: readonly unknown[]) => Promise<string>;
  /** The rows of one. */
  readonly rows: (sql: string, parameters?: readonly unknown[]) => Promise<unknown[][]>;
  readonly stderr: () => string;
}

/** Starts it with arguments. */
export async function startMcp(...args: readonly string[]): Promise<McpSession> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [builtCli, "mcp", ...args],
    cwd: temporaryDirectory(),
    env: { ...getDefaultEnvironment(), XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? "" },
    stderr: "pipe",
  });
  let stderr = "";
  transport.stderr?.on("data", (text) => {
    stderr += String(text);
  });
  const client = new Client({ name: "test", version: "1" });
  onTestFinished(() => client.close());
  await client.connect(transport);
  const call: Call = async (name, given = {}) => {
    const { content, isError } = await client.callTool({ name, arguments: given }, undefined, { timeout: 120_000 });
    const text = (content as { text: string }[]).map((part) => part.text).join("");
    return isError === true ? `ERROR ${text}` : text;
  };
  const sql = (statement: string, parameters?: readonly unknown[]) =>
    call("query", { sql: statement, ...(parameters && { parameters }) });
  return {
    client,
    pid: transport.pid!,
    call,
    sql,
    rows: async (...asked) => JSON.parse(await sql(...asked)).rows,
    stderr: () => stderr,
  };
}
