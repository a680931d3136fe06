/**
 * Processes that race for the lock of a data directory.
 *
 * Owns: starting them, telling them, ending them. Does not own: who should win.
 * Invariant: none outlives the test that started it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A process that can take a lock. */
export interface LockRacer {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves with undefined when it has the lock, or with the sentence by which it was refused. */
  take(path: string): Promise<string | undefined>;
  release(): Promise<void>;
  kill(): Promise<void>;
}

/** Starts one and waits until it listens to its parent. */
export async function startLockRacer(): Promise<LockRacer> {
  const child = fork(join(import.meta.dirname, "lock-racer.ts"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const exited = once(child, "exit");
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  onTestFinished(kill);
  const answer = async (message?: string): Promise<string | undefined> => {
    const answered = once(child, "message");
    if (message !== undefined) child.send(message);
    const [text] = await Promise.race([answered, exited.then(() => ["the racer has ended"])]);
    return (text as string | null) ?? undefined;
  };
  await answer();
  return { pid: child.pid!, child, take: answer, release: async () => void (await answer("")), kill };
}

/** Lets all of them try at once; resolves with the one that has the lock. Throws unless it is exactly one. */
export async function race(racers: readonly LockRacer[], path: string): Promise<LockRacer> {
  const answers = await Promise.all(racers.map((racer) => racer.take(path)));
  const winners = racers.filter((_, index) => answers[index] === undefined);
  if (winners.length !== 1) throw new Error(`${winners.length} winners: ${JSON.stringify(answers)}`);
  const wrong = answers.find((text) => text !== undefined && !text.includes(`process ${winners[0]!.pid};`));
  if (wrong !== undefined) throw new Error(`the winner is ${winners[0]!.pid}, and a loser was told: ${wrong}`);
  return winners[0]!;
}
