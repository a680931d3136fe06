/** Whom a replay tells a password. */
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { expect, onTestFinished, test } from "vitest";
import { ReplayConnection } from "../../src/trace/replay/replay-connection.ts";
import { request } from "../../src/wire/authentication.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import { waitUntil } from "../support/wait-until.ts";

const outside = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === "IPv4" && !one.internal)?.address;

const hosts = ["127.0.0.1", ...(outside === undefined ? [] : [outside])];

test.each(hosts.flatMap((host) => [[host, request.cleartext] as const, [host, request.md5] as const]))(
  "a server at %s that asks for a password by request %d gets it only on this machine",
  async (host, kind) => {
    let said = "";
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        socket.on("data", (bytes) => {
          said += bytes.toString("latin1");
          socket.end();
        });
        socket.write(encodeMessage("R", Buffer.from([0, 0, 0, kind, 1, 2, 3, 4])));
      });
    });
    await new Promise<void>((ready) => server.listen(0, "0.0.0.0", ready));
    onTestFinished(() => void server.close());
    const address = { host, port: (server.address() as AddressInfo).port };
    const connection = new ReplayConnection(1, { address, parameters: {}, password: "secret" }, () => {});
    connection.begin({ user: "u" });
    await waitUntil("it has ended", () => connection.hasEnded);
    expect(said === "").toBe(host !== "127.0.0.1");
  },
);
