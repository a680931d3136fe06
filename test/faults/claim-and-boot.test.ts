import { Server } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { claimAndBoot } from "../../src/testing/index.ts";
import { close, type FreeRange, isFree, listenOn, reserveFreeRange } from "../support/free-range.ts";

let space: FreeRange;
let where: { range: { first: number; last: number }; startAt: number };
let servers: Server[];

beforeEach(async () => {
  servers = [];
  space = await reserveFreeRange();
  where = { range: { first: space.first, last: space.last }, startAt: space.first };
});

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(servers.map(close));
  await space[Symbol.asyncDispose]();
});

async function keep(server: Promise<Server>): Promise<Server> {
  servers.push(await server);
  return server;
}

/** A service of two listeners, which closes the first one when it cannot get the second. */
async function startService(db: number, web: number): Promise<string> {
  const first = await keep(listenOn("127.0.0.1", db));
  try {
    await keep(listenOn("0.0.0.0", web));
  } catch (error) {
    await close(first);
    throw error;
  }
  return `${db} ${web}`;
}

describe("a boot on claimed ports", () => {
  test("finds every port of the block free, and its result is passed on", async () => {
    const result = await claimAndBoot({ ports: ["db", "web"], ...where }, async ({ db, web }) => {
      expect(await isFree(db, web)).toBe(true);
      return startService(db, web);
    });
    expect(result).toBe(`${space.first} ${space.first + 1}`);
  });

  test("that loses a port in the window is tried again on the next block", async () => {
    const blocks: number[][] = [];
    const result = await claimAndBoot({ ports: ["db", "web"], ...where }, async ({ db, web }) => {
      blocks.push([db, web]);
      if (blocks.length === 1) await keep(listenOn("127.0.0.1", web));
      return startService(db, web);
    });
    expect(blocks).toEqual([
      [space.first, space.first + 1],
      [space.first + 2, space.first + 3],
    ]);
    expect(result).toBe(`${space.first + 2} ${space.first + 3}`);
  });

  test("moves on from a block although its port is free again", async () => {
    const bases: number[] = [];
    await claimAndBoot({ ports: 1, ...where }, async ([port]) => {
      bases.push(port!);
      if (bases.length > 1) return;
      const thief = await listenOn("0.0.0.0", port!);
      await listenOn("0.0.0.0", port!).finally(() => close(thief));
    });
    expect(bases).toEqual([space.first, space.first + 1]);
  });

  test("goes around to the first block after the last one", async () => {
    const bases: number[] = [];
    await claimAndBoot({ ports: 2, ...where, startAt: space.last - 1 }, async ([port]) => {
      bases.push(port!);
      if (bases.length === 1) throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
    });
    expect(bases).toEqual([space.last - 1, space.first]);
  });

  test("that loses its port three times fails with the last error itself", async () => {
    const errors: unknown[] = [];
    const booting = claimAndBoot({ ports: 1, ...where }, async ([port]) => {
      await keep(listenOn("0.0.0.0", port!));
      try {
        await listenOn("0.0.0.0", port!);
      } catch (error) {
        errors.push(error);
        throw error;
      }
    });
    const failure = await booting.catch((error: unknown) => error);
    expect(errors).toHaveLength(3);
    expect(errors).toMatchObject([{ code: "EADDRINUSE" }, { code: "EADDRINUSE" }, { code: "EADDRINUSE" }]);
    expect(failure).toBe(errors[2]);
  });

  test.each([
    ["as the cause", (error: unknown) => new Error("boot failed", { cause: error })],
    ["as a part", (error: unknown) => new AggregateError([new Error("other"), error])],
  ])("is tried again when EADDRINUSE comes %s of its error", async (_how, wrap) => {
    let attempts = 0;
    await claimAndBoot({ ports: 1, ...where }, async ([port]) => {
      if (++attempts > 1) return;
      await keep(listenOn("0.0.0.0", port!));
      await listenOn("0.0.0.0", port!).catch((error) => {
        throw wrap(error);
      });
    });
    expect(attempts).toBe(2);
  });

  test.each(["rejected", "thrown"])("fails at once and unwrapped with any other error, %s", async (how) => {
    const failure = new Error("no such image");
    let attempts = 0;
    const booting = claimAndBoot({ ports: 1, ...where }, () => {
      attempts++;
      if (how === "thrown") throw failure;
      return Promise.reject(failure);
    });
    await expect(booting).rejects.toBe(failure);
    expect(attempts).toBe(1);
  });

  test("fails with the error of the claim when no further block is free", async () => {
    const first = space.first;
    const booting = claimAndBoot({ ports: 1, range: { first, last: first }, startAt: first }, async ([port]) => {
      await keep(listenOn("0.0.0.0", port!));
      await listenOn("0.0.0.0", port!);
    });
    await expect(booting).rejects.toThrow(`no 1 consecutive ports are free in ${first}-${first}`);
  });
});

describe("an aborted signal", () => {
  const reason = new Error("changed my mind");

  test("allows no boot, if it was aborted already", async () => {
    let attempts = 0;
    const booting = claimAndBoot({ ports: 1, ...where, signal: AbortSignal.abort(reason) }, async () => ++attempts);
    await expect(booting).rejects.toBe(reason);
    expect(attempts).toBe(0);
  });

  test("allows no boot, if it was aborted during the claim", async () => {
    const controller = new AbortController();
    const bind = vi.spyOn(Server.prototype, "listen");
    let attempts = 0;
    const booting = claimAndBoot({ ports: 1, ...where, signal: controller.signal }, async () => ++attempts);
    controller.abort(reason);
    await expect(booting).rejects.toBe(reason);
    expect(attempts).toBe(0);
    expect(bind).not.toHaveBeenCalled();
    expect(await isFree(space.first, space.first)).toBe(true);
  });

  test("allows no boot, if it was aborted while the block was released", async () => {
    const controller = new AbortController();
    const close = Server.prototype.close;
    vi.spyOn(Server.prototype, "close").mockImplementation(function (this: Server, callback) {
      controller.abort(reason);
      return close.call(this, callback);
    });
    let attempts = 0;
    const booting = claimAndBoot({ ports: 1, ...where, signal: controller.signal }, async () => ++attempts);
    await expect(booting).rejects.toBe(reason);
    expect(attempts).toBe(0);
  });

  test("allows no further attempt, if it was aborted during a boot", async () => {
    const controller = new AbortController();
    let attempts = 0;
    const booting = claimAndBoot({ ports: 1, ...where, signal: controller.signal }, async ([port], signal) => {
      attempts++;
      expect(signal).toBe(controller.signal);
      await keep(listenOn("0.0.0.0", port!));
      controller.abort(reason);
      await listenOn("0.0.0.0", port!);
    });
    await expect(booting).rejects.toBe(reason);
    expect(attempts).toBe(1);
  });

  test("takes nothing back that a boot has finished", async () => {
    const controller = new AbortController();
    const result = await claimAndBoot({ ports: 1, ...where, signal: controller.signal }, async () => {
      controller.abort(reason);
      return "started";
    });
    expect(result).toBe("started");
  });
});
