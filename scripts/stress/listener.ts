/**
 * A client that listens and counts what it hears.
 *
 * Owns: one connection that nobody disturbs. Does not own: who notifies, or what has to be heard.
 * Invariant: every notification is kept until it was compared, with its payload.
 */
import type { FoundRow, Ledger } from "../kill-nine/ledger.ts";
import { PgSession } from "./pg-session.ts";
import { eventChannel } from "./worker.ts";

/** See the head of the file. */
export class Listener {
  readonly pid: number;
  readonly #session: PgSession;
  readonly #heard: string[];

  private constructor(session: PgSession, heard: string[]) {
    this.#session = session;
    this.pid = session.pid;
    this.#heard = heard;
  }

  static async open(port: number): Promise<Listener> {
    const heard: string[] = [];
    const session = await PgSession.open(port, (payload) => void heard.push(payload));
    await session.query(`listen ${eventChannel}`);
    return new Listener(session, heard);
  }

  /** How many were heard since the last `compare`. */
  get count(): number {
    return this.#heard.length;
  }

  /** Compares with what was sent before, and forgets it; every session must be idle. */
  async compare(sent: Ledger): Promise<string[]> {
    // What was sent before this answer comes before it.
    await this.#session.query("select 1");
    const found: FoundRow[] = [];
    const wrong: string[] = [];
    const latest = new Map<number, number>();
    for (const payload of this.#heard.splice(0)) {
      const [writer, n] = payload.split("/").map(Number) as [number, number];
      if (n <= (latest.get(writer) ?? 0)) wrong.push(`notification ${payload} after ${writer}/${latest.get(writer)}`);
      latest.set(writer, n);
      found.push({ writer, n });
    }
    wrong.push(...sent.check(found).map((text) => `notifications: ${text}`));
    sent.forget();
    return wrong;
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
