import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, Server, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { holdBlock } from "../../src/testing/hold-block.ts";
import { type ClaimOptions, claimPorts } from "../../src/testing/index.ts";
import { close, type FreeRange, hasIpv6, isFree, listenOn, reserveFreeRange } from "../support/free-range.ts";

let space: FreeRange;
let cleanUps: (() => unknown)[];

beforeEach(async () => {
  cleanUps = [];
  space = await reserveFreeRange();
});

afterEach(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  await space[Symbol.asyncDispose]();
});

/** A listener that the test did not ask for. */
async function squat(host: string, port: number, ipv6Only = false): Promise<Server> {
  const server = await listenOn(host, port, ipv6Only);
  cleanUps.push(() => close(server));
  return server;
}

/** An open connection to somewhere on this machine; it comes from `localPort`, or from a port of the kernel's choice. */
async function connectOut(localPort?: number): Promise<Socket> {
  const target = createServer(() => {}).listen(0, "127.0.0.1");
  await once(target, "listening");
  const { port } = target.address() as AddressInfo;
  const outgoing = connect({ port, host: "127.0.0.1", ...(localPort ? { localPort } : {}) });
  cleanUps.push(
    () => close(target),
    () => outgoing.destroy(),
  );
  await once(outgoing, "connect");
  return outgoing;
}

/** Lets every bind succeed, on ports of the kernel's choice: macOS lets a wildcard listener bind beside a specific one. */
function bindAnything(): void {
  const listen = Server.prototype.listen as (...args: unknown[]) => Server;
  const spy = vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, options: unknown) {
    return listen.call(this, { ...(options as object), port: 0 });
  });
  cleanUps.push(() => spy.mockRestore());
}

/** The options of a search that begins at the first port of the free space. */
function inSpace(size = space.last - space.first + 1): ClaimOptions & { startAt: number } {
  return { range: { first: space.first, last: space.first + size - 1 }, startAt: space.first };
}

describe("a claim", () => {
  test("holds every port of its block, on IPv4 and IPv6, until it is released", async () => {
    const claim = await claimPorts(3, inSpace());
    cleanUps.push(claim.release);
    expect(claim.ports).toEqual([space.first, space.first + 1, space.first + 2]);
    for (const port of claim.ports) {
      await expect(listenOn("0.0.0.0", port)).rejects.toMatchObject({ code: "EADDRINUSE" });
      if (hasIpv6) await expect(listenOn("::", port, true)).rejects.toMatchObject({ code: "EADDRINUSE" });
    }
    await claim.release();
    expect(await isFree(space.first, space.first + 2)).toBe(true);
  });

  test("gives each name its port", async () => {
    await using claim = await claimPorts(["db", "web"], inSpace());
    expect(claim.ports).toEqual({ db: space.first, web: space.first + 1 });
  });

  test("is released once, however often that is asked for, and by leaving its scope", async () => {
    const claim = await claimPorts(2, inSpace());
    const releasing = claim.release();
    expect(claim.release()).toBe(releasing);
    await releasing;
    await squat("0.0.0.0", space.first);
    await claim.release();
    {
      await using _claim = await claimPorts(2, { ...inSpace(), startAt: space.first + 1 });
      expect(await isFree(space.first + 1, space.first + 2)).toBe(false);
    }
    expect(await isFree(space.first + 1, space.first + 2)).toBe(true);
  });

  test("is released at once although a visitor is connected", async () => {
    const claim = await claimPorts(1, inSpace());
    const visitor = connect(space.first, "127.0.0.1").on("error", () => {});
    await once(visitor, "connect");
    await claim.release();
    expect(await isFree(space.first, space.first)).toBe(true);
    visitor.destroy();
  });

  test("comes from anywhere outside of the kernel's ephemeral ports by default", async () => {
    await using claim = await claimPorts(2);
    expect(claim.ports[1]).toBe(claim.ports[0]! + 1);
  });
});

describe("a block is passed over", () => {
  const addresses: [host: string, ipv6Only: boolean][] = [
    ["127.0.0.1", false],
    ["0.0.0.0", false],
    ["::1", false],
    ["::", false],
    ["::", true],
  ];
  describe.each(addresses)("with a squatter on %s (IPv6 only: %s)", (host, ipv6Only) => {
    test.skipIf(host.includes(":") && !hasIpv6).each([0, 1, 2])("at its port %d", async (offset) => {
      await squat(host, space.first + offset, ipv6Only);
      await using claim = await claimPorts(3, inSpace());
      expect(claim.ports[0]).toBe(space.first + 3);
      const others = [0, 1, 2].filter((other) => other !== offset).map((other) => space.first + other);
      for (const port of others) expect(await isFree(port, port)).toBe(true);
    });
  });

  test("with an outgoing connection of the kernel's choice on one of its ports", async () => {
    const outgoing = await connectOut();
    expect(await holdBlock(outgoing.localPort!, 1)).toBe(outgoing.localPort);
  });

  test.each(["127.0.0.1", "::1"])(
    "with a squatter on %s that a wildcard listener can bind beside (mocked: every bind succeeds, as on macOS)",
    async (host) => {
      if (host === "::1" && !hasIpv6) return;
      await squat(host, space.first + 1);
      bindAnything();
      await using claim = await claimPorts(3, inSpace());
      expect(claim.ports[0]).toBe(space.first + 3);
    },
  );

  test("when it overlaps a taken one, until the one block that is left is found", async () => {
    await squat("127.0.0.1", space.first + 1);
    await squat("0.0.0.0", space.first + 5);
    await using claim = await claimPorts(3, inSpace(8));
    expect(claim.ports[0]).toBe(space.first + 2);
  });
});

test("a block with an outgoing connection bound to one of its ports is claimed only if services can start there", async () => {
  const outgoing = await connectOut(space.first + 1);
  expect(outgoing.localPort).toBe(space.first + 1);
  const claim = await claimPorts(3, inSpace());
  await claim.release();
  expect(await isFree(claim.ports[0]!, claim.ports[2]!)).toBe(true);
});

test("no free block is an error that says where it was looked for and what was in the way", async () => {
  for (const offset of [1, 4]) await squat("0.0.0.0", space.first + offset);
  const claiming = claimPorts(3, inSpace(6));
  await expect(claiming).rejects.toThrow(`no 3 consecutive ports are free in ${space.first}-${space.first + 5} `);
  await expect(claiming).rejects.toThrow(`(2 taken, for example ${space.first + 1}, ${space.first + 4})`);
  for (const offset of [0, 2, 3, 5]) expect(await isFree(space.first + offset, space.first + offset)).toBe(true);
});

test("eight claimers that search the same ports at once all get different ones, with no port to spare", async () => {
  const claims = await Promise.all(Array.from({ length: 8 }, () => claimPorts(4, inSpace(32))));
  cleanUps.push(() => Promise.all(claims.map((claim) => claim.release())));
  expect(new Set(claims.flatMap((claim) => claim.ports)).size).toBe(32);
});

test("processes that search the same ports at once all get different ones", async () => {
  const script = fileURLToPath(new URL("../support/claim-until-told.ts", import.meta.url));
  const { range, startAt } = inSpace(12);
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, [script, "3", String(range!.first), String(range!.last), String(startAt)], {
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  cleanUps.push(() => children.map((child) => child.kill()));
  const ports = await Promise.all(
    children.map(async (child) => JSON.parse(String((await once(child.stdout, "data"))[0])) as number[]),
  );
  expect(new Set(ports.flat()).size).toBe(12);
  const exits = children.map((child) => once(child, "exit"));
  for (const child of children) child.stdin.end();
  expect(await Promise.all(exits)).toEqual(children.map(() => [0, null]));
});

test.skipIf(process.platform !== "linux")(
  "a listener that accepts nothing and whose queue is full is somebody (mocked: every bind succeeds, as on macOS)",
  async () => {
    const deaf = `const s = require("node:net").createServer().listen(
    { host: "127.0.0.1", port: ${space.first}, backlog: 1 },
    () => { require("node:fs").writeSync(1, "ready"); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); })`;
    const child = spawn(process.execPath, ["-e", deaf], { stdio: ["ignore", "pipe", "inherit"] });
    cleanUps.push(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    const fillers: Socket[] = [];
    cleanUps.push(() => fillers.map((filler) => filler.destroy()));
    for (let filler = 0; filler < 2; filler++) {
      const socket = connect(space.first, "127.0.0.1").on("error", () => {});
      fillers.push(socket);
      await once(socket, "connect");
    }
    bindAnything();
    await using claim = await claimPorts(1, inSpace());
    expect(claim.ports).toEqual([space.first + 1]);
  },
);
