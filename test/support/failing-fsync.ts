/**
 * A disk that loses its data: Node's fsync fails while the file named by FSYNC_FAILS_WHILE is there.
 *
 * Owns: nothing else; every other call is the real one. Loaded into a process and its threads with `--import`.
 */
import fs, { existsSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const { fsyncSync } = fs;
fs.fsyncSync = (descriptor) => {
  if (existsSync(process.env.FSYNC_FAILS_WHILE ?? "")) {
    throw Object.assign(new Error("EIO: i/o error, fsync"), { code: "EIO", errno: -5, syscall: "fsync" });
  }
  fsyncSync(descriptor);
};
syncBuiltinESMExports();
