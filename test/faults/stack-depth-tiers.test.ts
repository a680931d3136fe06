/**
 * How large V8's frames are hangs on which of its compilers has made the code, which hangs on how long that has run, and on how busy the machine is. Here each
 * has made all of it, and an engine has a quarter of the stack that a server has.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { stackMb } from "../../src/sessions/native-stack.ts";
import { deepSetup, deepStatements } from "../support/deep-statements.ts";
import { errorFields, WireClient } from "../support/wire-client.ts";

describe.each(["--liftoff-only", "--no-liftoff"])("code of V8 with %s", (flag) => {
  let port: number;
  const file = (name: string) => new URL(`../support/${name}`, import.meta.url);
  const execArgv = ["--no-warnings", flag, "--import", file("socket-library-loader.ts").href];
  beforeAll(async () => {
    const server = fork(fileURLToPath(file("deep-server.ts")), [String(stackMb / 4)], { execArgv });
    [{ port }] = (await once(server, "message")) as [{ port: number }];
    const client = await WireClient.login({ port });
    expect(errorFields(await client.query(deepSetup))).toBeUndefined();
    await client.end();
    return () => void server.kill("SIGKILL");
  });

  test.each(deepStatements)("a statement that is nested too deeply is an error: %s", async (_, sql, code) => {
    const client = await WireClient.login({ port });
    onTestFinished(() => client.destroy());
    const error = errorFields(await client.query(sql));
    expect([error?.get("S"), error?.get("C")]).toEqual(["ERROR", code]);
  });
});
