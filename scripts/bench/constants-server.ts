/**
 * The server process of the target `constants`: it answers every message from constants and has no engine.
 *
 * Owns: the canned replies. It shows what a Node socket server with this client reaches when answering costs nothing.
 * Does not own: right values. Its answers have the right shape only: one row for an Execute, ten thousand rows of 1000
 * bytes for a Query that selects, nothing for any other Query, and it is never in a transaction.
 */
import { createServer, type Socket } from "node:net";
import { serveUntilTold } from "./serve-until-told.ts";

const frame = (type: string, body: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, 0, 1, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const row = (value: string): Buffer =>
  frame("D", Buffer.concat([Buffer.from([0, 1]), int32(value.length), Buffer.from(value)]));
const column = (name: string, type: number, size: number): Buffer =>
  frame(
    "T",
    Buffer.concat([
      Buffer.from(`\0\x01${name}\0`, "latin1"),
      Buffer.alloc(6),
      int32(type),
      Buffer.from([size >> 8, size & 255]),
      int32(-1),
      Buffer.alloc(2),
    ]),
  );

const ready = frame("Z", Buffer.from("I"));
const description = column("n", 23, 4);
const answers: Readonly<Record<string, Buffer>> = {
  P: frame("1", Buffer.alloc(0)),
  B: frame("2", Buffer.alloc(0)),
  C: frame("3", Buffer.alloc(0)),
  D: description,
  E: Buffer.concat([row("10000000"), frame("C", Buffer.from("SELECT 1\0"))]),
  S: ready,
};
const done = Buffer.concat([frame("C", Buffer.from("BEGIN\0")), ready]);
const tenMegabytes = Buffer.concat([
  column("repeat", 25, -1),
  ...Array.from({ length: 10_000 }, () => row("x".repeat(1000))),
  frame("C", Buffer.from("SELECT 10000\0")),
  ready,
]);
const parameter = (name: string, value: string) => frame("S", Buffer.from(`${name}\0${value}\0`));
const login = Buffer.concat([
  frame("R", int32(0)),
  parameter("server_version", "18.0"),
  parameter("client_encoding", "UTF8"),
  parameter("standard_conforming_strings", "on"),
  frame("K", Buffer.alloc(8)),
  ready,
]);

function serve(socket: Socket): void {
  let carry: Buffer = Buffer.alloc(0);
  let loggedIn = false;
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data: Buffer) => {
    const chunk = carry.length > 0 ? Buffer.concat([carry, data]) : data;
    const replies: Buffer[] = [];
    let at = 0;
    while (chunk.length - at >= 5) {
      const end = loggedIn ? at + 1 + chunk.readInt32BE(at + 1) : at + chunk.readInt32BE(at);
      if (end > chunk.length) break;
      if (!loggedIn) {
        loggedIn = true;
        replies.push(login);
      } else if (chunk[at] === 0x58) {
        socket.end();
      } else {
        replies.push(replyTo(chunk, at));
      }
      at = end;
    }
    carry = chunk.subarray(at);
    if (replies.length > 0) socket.write(replies.length === 1 ? replies[0]! : Buffer.concat(replies));
  });
}

function replyTo(chunk: Buffer, at: number): Buffer {
  const type = String.fromCharCode(chunk[at]!);
  if (type === "Q") return chunk.toString("latin1", at + 5, at + 11) === "select" ? tenMegabytes : done;
  return answers[type] ?? Buffer.alloc(0);
}

const server = createServer(serve);
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") serveUntilTold(address.port);
});
