/**
 * The rule about taken ports, on real sockets.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { listenOnPort, probePort } from "../../src/dev-db/port.ts";
import { findPortOwner } from "../../src/dev-db/port-owner.ts";
import { PortTakenError, UsageError } from "../../src/errors.ts";
import { type ResolvedOptions, resolveOptions } from "../../src/options.ts";

async function occupy(host = "127.0.0.1"): Promise<number> {
  const server = createServer((socket) => socket.destroy()).listen(0, host);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** Options in which `port` stands as the default, since the true default is one fixed port. */
function withDefaultPort(port: number): ResolvedOptions {
  return { ...resolveOptions({}), port };
}

const explicit = (port: number, more: object = {}) => resolveOptions({ library: { port, ...more } });
const noLog = () => {};

describe("before the start", () => {
  test("a free port is kept, and 0 is not looked at", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    expect(await probePort(explicit(port), noLog)).toBe(port);
    expect(await probePort(explicit(0), noLog)).toBe(0);
  });

  test("a taken default port moves and says so; a taken explicit one fails and names its owner", async () => {
    const port = await occupy();
    const lines: string[] = [];
    expect(await probePort(withDefaultPort(port), (level, line) => lines.push(`${level}: ${line}`))).toBe(0);
    expect(lines).toEqual([expect.stringMatching(new RegExp(`^info: port ${port} is taken.*; taking a free one$`))]);
    const failing = probePort(explicit(port), noLog);
    await expect(failing).rejects.toThrow(PortTakenError);
    await expect(failing).rejects.toThrow(`port in the options: port ${port} is taken`);
  });

  test("a squatter on all addresses counts as well", async () => {
    const port = await occupy("0.0.0.0");
    await expect(probePort(explicit(port), noLog)).rejects.toThrow(PortTakenError);
    await expect(probePort(explicit(port, { host: "0.0.0.0" }), noLog)).rejects.toThrow(PortTakenError);
  });

  test("an address of another machine is a usage error", async () => {
    const failing = probePort(explicit(0, { host: "192.0.2.1" }), noLog);
    await expect(failing).rejects.toThrow(UsageError);
    await expect(failing).rejects.toThrow('host in the options: "192.0.2.1" is not an address of this machine');
  });
});

describe("while listening", () => {
  /** Fails once with a system error, then succeeds. */
  function listener(code: string, details: object = {}) {
    const ports: number[] = [];
    const listen = async (port: number) => {
      ports.push(port);
      if (ports.length === 1) throw Object.assign(new Error(code), { code, ...details });
      return port;
    };
    return { ports, listen };
  }

  test("a default port that was taken meanwhile moves", async () => {
    const { ports, listen } = listener("EADDRINUSE");
    await listenOnPort(5433, listen, withDefaultPort(5433), noLog);
    expect(ports).toEqual([5433, 0]);
  });

  test("an explicit port that was taken meanwhile fails", async () => {
    const { ports, listen } = listener("EADDRINUSE");
    await expect(listenOnPort(5433, listen, explicit(5433), noLog)).rejects.toThrow(PortTakenError);
    expect(ports).toEqual([5433]);
  });

  test("what is wrong with a Unix socket is said of the socket", async () => {
    const address = "/run/x/.s.PGSQL.5433";
    const inUse = listenOnPort(5433, listener("EADDRINUSE", { address }).listen, explicit(5433), noLog);
    await expect(inUse).rejects.toThrow(`port 5433 is taken: the socket ${address} is in use`);
    const denied = listenOnPort(5433, listener("EACCES", { address }).listen, explicit(5433), noLog);
    await expect(denied).rejects.toThrow(UsageError);
    await expect(denied).rejects.toThrow(`--socket-dir: the socket ${address} cannot be made (EACCES)`);
  });

  test("a port that this user may not have is a usage error, and any other error stays what it is", async () => {
    await expect(listenOnPort(80, listener("EACCES").listen, explicit(80), noLog)).rejects.toThrow(UsageError);
    await expect(listenOnPort(80, listener("EMFILE").listen, explicit(80), noLog)).rejects.toMatchObject({
      code: "EMFILE",
    });
  });
});

describe.runIf(process.platform === "linux")("who has a port", () => {
  test("is found among other processes, by IPv4 and IPv6", async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      const code = `require("net").createServer().listen(0, "${host}", function () { console.log(this.address().port) })`;
      const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
      onTestFinished(() => void child.kill());
      const [port] = await once(child.stdout, "data");
      expect(findPortOwner(Number(port))).toEqual({
        pid: child.pid,
        // Wherever the program is installed: in a deep directory its path alone would be longer than what is shown.
        command: expect.stringMatching(/^node -e require\("net"\)\.createServer/),
      });
      child.kill();
      await once(child, "exit");
      expect(findPortOwner(Number(port))).toBeUndefined();
    }
  });
});
