/**
 * A command as a reader types it, and for how long he waits.
 *
 * Owns: its process group and the clock. Does not own: what is typed.
 * Invariant: nothing of it outlives this process; a command that fails is an error with all that it has said.
 */
import { spawn } from "node:child_process";
import { holdGroup } from "../process-groups.ts";

/** A command that runs. Each of these resolves with the milliseconds since it was called, or `type` before it. */
interface Typed {
  /** Until it has said that. */
  says(pattern: RegExp): Promise<number>;
  /** Until it has ended well. */
  ended(): Promise<number>;
  /** From Ctrl-C until it has ended. */
  interrupt(): Promise<number>;
}

/** Types commands in a folder. */
export function typing(cwd: string, environment: Readonly<Record<string, string>>): (command: string) => Typed {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(DEV_DB_|PG|DATABASE_URL$|NODE_ENV$|npm_|INIT_CWD$)/i.test(name),
  );
  const env = { ...Object.fromEntries(inherited), ...environment };
  return (command) => {
    const began = performance.now();
    const child = spawn(command, { cwd, env, shell: true, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    holdGroup(child);
    let said = "";
    let onSaid = () => {};
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        onSaid();
      });
    const closed = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    const failure = (code: number | null) => new Error(`${command} ended with ${code}: ${said}`);
    return {
      says: (pattern) =>
        new Promise((resolve, reject) => {
          onSaid = () => {
            if (pattern.test(said)) resolve(performance.now() - began);
          };
          onSaid();
          closed.then((code) => reject(failure(code)), reject);
        }),
      async ended() {
        const code = await closed;
        if (code !== 0) throw failure(code);
        return performance.now() - began;
      },
      async interrupt() {
        const pressed = performance.now();
        process.kill(-child.pid!, "SIGINT");
        await closed;
        return performance.now() - pressed;
      },
    };
  };
}
