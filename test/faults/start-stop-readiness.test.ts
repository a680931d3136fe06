/**
 * The readiness check against servers that answer, refuse, hang up, talk nonsense or say nothing.
 */
import { createServer, type Socket } from "node:net";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { awaitReady } from "../../src/dev-db/readiness.ts";
import { int16 } from "../../src/wire/frames.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";

afterEach(() => vi.useRealTimers());

const authenticationOk = encodeMessage("R", Buffer.alloc(4));
const readyForQuery = encodeMessage("Z", Buffer.from("I"));
const description = encodeMessage("T", int16(1), "?column?", Buffer.alloc(18));
const row = encodeMessage("D", Buffer.from("00010000000131", "hex"));
const complete = encodeMessage("C", "SELECT 1");
const refusal = (code: string, text: string) => encodeMessage("E", "SFATAL", `C${code}`, `M${text}`, Buffer.alloc(1));
const notice = encodeMessage("N", "SNOTICE", "Mhello", Buffer.alloc(1));

type Answer = Buffer | "hang up";

/** A server whose `answers` go out one per received chunk; resolves with its port and the sockets that it has. */
async function serve(...answers: (Answer | Answer[])[]) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    const left = [...answers];
    socket.on("data", async () => {
      const answer = left.shift();
      for (const part of [answer ?? []].flat()) {
        if (part === "hang up") socket.end();
        else await new Promise((written) => socket.write(part, written));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, sockets };
}

function check(port: number, signal = new AbortController().signal): Promise<void> {
  const address = { host: "127.0.0.1", port, user: "postgres", password: "", database: "postgres", offersTls: false };
  return awaitReady(address, signal);
}

test("an answer to select 1 is ready, also byte by byte and with notices in between", async () => {
  const bytes = (...messages: Buffer[]) => [...Buffer.concat(messages)].map((byte) => Buffer.from([byte]));
  const answer = bytes(notice, description, row, complete, readyForQuery);
  const { port } = await serve(bytes(authenticationOk, notice, readyForQuery), answer);
  await check(port);
});

test("a server that is full is ready", async () => {
  const { port } = await serve(refusal("53300", "sorry, too many clients already"));
  await check(port);
});

test("any other refusal is an error with the server's own words and SQLSTATE", async () => {
  const atLogin = await serve(refusal("3D000", "no such database"));
  await expect(check(atLogin.port)).rejects.toThrow('refused "select 1": no such database (3D000)');
  for (const end of [readyForQuery, "hang up"] as const) {
    const atQuery = await serve([authenticationOk, readyForQuery], [refusal("XX000", "broken"), end]);
    await expect(check(atQuery.port)).rejects.toThrow("broken (XX000)");
  }
});

test("an answer without a row is not ready", async () => {
  const { port } = await serve([authenticationOk, readyForQuery], readyForQuery);
  await expect(check(port)).rejects.toThrow("returned no row");
});

test("a server that hangs up, or that is not there, is an error", async () => {
  await expect(check((await serve("hang up")).port)).rejects.toThrow("closed the connection");
  await expect(check((await serve([authenticationOk, readyForQuery], "hang up")).port)).rejects.toThrow("closed");
  await expect(check(1)).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test("an abort ends the wait with its reason and closes the socket; one that came before opens none", async () => {
  const { port, sockets } = await serve();
  const abort = new AbortController();
  const waiting = check(port, abort.signal);
  await expect.poll(() => sockets.size).toBe(1);
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect.poll(() => sockets.size).toBe(0);
  await expect(check(port, abort.signal)).rejects.toThrow("enough");
  expect(sockets.size).toBe(0);
});

test("a server that says nothing is given up after 30 s (the clock is a stand-in)", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { port } = await serve();
  const waiting = expect(check(port)).rejects.toThrow('did not answer "select 1" within 30 s');
  await vi.advanceTimersByTimeAsync(29_999);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  await waiting;
});
