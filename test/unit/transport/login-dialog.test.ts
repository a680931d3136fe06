/** A client's answer in its authentication: one message of one type, with a limit, whatever comes behind it. */
import type { LoginDialog } from "@electric-sql/pglite-socket";
import { expect, test } from "vitest";
import { askClient } from "../../../src/transport/login-dialog.ts";
import { encodeMessage } from "../../../src/wire/frontend.ts";

/** Has `bytes` to read, and keeps what is written. */
function dialogOf(bytes: Buffer) {
  const written: Buffer[] = [];
  let at = 0;
  const dialog: LoginDialog = {
    write: (message) => void written.push(Buffer.from(message)),
    read: async (length) => {
      if (at + length > bytes.length) throw new Error("gone");
      at += length;
      return bytes.subarray(at - length, at);
    },
  };
  return { dialog, written, left: () => bytes.subarray(at).toString() };
}

const question = encodeMessage("R", Buffer.from("?"));

test("the answer is the body of one message; what is behind it is left", async () => {
  for (const body of ["", "right", "x".repeat(65_531)]) {
    const { dialog, written, left } = dialogOf(
      Buffer.concat([encodeMessage("p", Buffer.from(body)), Buffer.from("rest")]),
    );
    expect(Buffer.from(await askClient(dialog, question)).toString()).toBe(body);
    expect(written).toEqual([Buffer.from(question)]);
    expect(left()).toBe("rest");
  }
});

test.each([
  ["another type", encodeMessage("Q", Buffer.from("select 1")), "expected SASL response, got message type 81"],
  ["a length that does not count itself", Buffer.from("p\0\0\0\x03"), "invalid message length"],
  ["a negative length", Buffer.from([0x70, 255, 255, 255, 255]), "invalid message length"],
  ["one byte too many", encodeMessage("p", Buffer.alloc(65_532)), "invalid message length"],
])("%s breaks the rules, told before the rest has come", async (_, bytes, message) => {
  const { dialog } = dialogOf(Buffer.from(bytes.subarray(0, 5)));
  await expect(askClient(dialog, question)).rejects.toMatchObject({ code: "08P01", message });
});

test("a client that goes in the middle is what the reading rejects with", async () => {
  for (const length of [0, 3, 7]) {
    const { dialog } = dialogOf(Buffer.from(encodeMessage("p", Buffer.from("right")).subarray(0, length)));
    await expect(askClient(dialog, question)).rejects.toThrow("gone");
  }
});
