/** Settings that ask for more memory than there is: an error that names them, and no stack. */
import { expect, test } from "vitest";
import { startDevDb, UsageError } from "../../src/index.ts";

test.each([["shared_buffers=8GB"], ["shared_buffers=3GB"], ["max_locks_per_transaction=2000000"]])(
  "a start with %s is refused by its name",
  async (setting) => {
    const starts = startDevDb({ port: 0, migrations: "none", log: () => {}, set: [setting] });
    const error = await starts.then(
      (db) => db.close().then(() => undefined),
      (reason: Error) => reason,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(error?.message).toContain(setting);
    expect(error?.message).toContain("2 GB");
  },
);
