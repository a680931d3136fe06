/**
 * Stdout for one who writes a protocol there.
 *
 * Owns: what others of this process write to stdout meanwhile, a seed with `console.log`, say, or a thread: it goes to stderr. Does not own: what a child
 * process writes that was given the same descriptor; those of the server are not.
 * Invariant: stdout gets the protocol and nothing else.
 */
import { Writable } from "node:stream";

/** Stdout, kept. */
interface KeptStdout {
  /** What is written here goes to stdout. */
  readonly stream: Writable;
  /** Writes all that there still is, and lets everybody write again. */
  readonly giveBack: () => Promise<void>;
}

/** Keeps stdout for the one who is given the stream. */
export function keepStdout(): KeptStdout {
  const { stdout, stderr } = process;
  const write = stdout.write;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, done) {
      // That nobody reads it any more is seen where stdout is watched.
      write.call(stdout, chunk, encoding, () => done());
    },
  });
  stdout.write = stderr.write.bind(stderr) as typeof write;
  return {
    stream,
    async giveBack() {
      await new Promise<void>((resolve) => void stream.end(resolve));
      stdout.write = write;
    },
  };
}
