/** When a process that was written down counts as alive. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { judgeLiveness, ownIdentity, pidExists, startedAtByPs } from "../../../src/system/process-identity.ts";

const self = await ownIdentity();

test("this process knows when it started, and is alive to itself", async () => {
  if (process.platform !== "win32") expect(self.startedAt).not.toBe("");
  expect(await judgeLiveness(self, await ownIdentity())).toBe("alive");
});

test.each([
  ["a pid in use with another start", { startedAt: "1" }, "dead"],
  ["a system that does not tell when a process started", { startedAt: "" }, "alive"],
  ["an earlier boot of this machine", { boot: "earlier" }, "dead"],
  ["another boot of a machine with another name", { boot: "other", host: "elsewhere" }, "unseen"],
  ["another boot of a machine with this name", { boot: "other", machine: "elsewhere" }, "unseen"],
  ["another container", { pidNamespace: "pid:[1]", pid: 1 }, "unseen"],
] as const)("%s", async (_, difference, expected) => {
  expect(await judgeLiveness({ ...self, ...difference }, self)).toBe(expected);
});

test("a system without boot ids has the host name instead", async () => {
  const windows = { ...self, boot: "", startedAt: "", pidNamespace: "" };
  expect(await judgeLiveness(windows, windows)).toBe("alive");
  expect(await judgeLiveness({ ...windows, host: "elsewhere" }, windows)).toBe("unseen");
});

test("a process that has ended is dead", async () => {
  const child = spawn(process.execPath, ["-e", "0"]);
  const { pid } = child;
  await once(child, "exit");
  expect(pidExists(pid!)).toBe(false);
  expect(await judgeLiveness({ ...self, pid: pid!, startedAt: "" }, self)).toBe("dead");
});

test.skipIf(process.platform === "win32")("ps tells the same start of the same process each time", async () => {
  const started = await startedAtByPs(process.pid);
  expect(started).toMatch(/ \d\d:\d\d:\d\d \d{4}$/);
  expect(await startedAtByPs(process.pid)).toBe(started);
  expect(await startedAtByPs(2 ** 30)).toBe("");
});
