/**
 * Sessions driven from records of the channel: one client each.
 *
 * Owns: what a session has to read and may write, and when the thread sleeps. Does not own: sessions (`sessions/`), who
 * runs next of them (`sessions/scheduler.ts`). Invariant: a session is only entered while there is input for it; the
 * thread sleeps only when nothing can go on without a record or the passing of time.
 */
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { channelClock, type EngineChannel, RecordKind } from "../channel.ts";
import { PartCollector } from "../part-collector.ts";
import { YoungGarbage } from "../young-garbage.ts";
import type { SessionHost } from "./sessions/host.ts";
import type { Session, SessionInput } from "./sessions/session.ts";

// How much of a session's output may be under way to its client before it is parked.
const windowBytes = 1 << 21;
// How long a session's next batch is waited for while others wait for their turns, in ms: as long as a switch takes.
const lingerMs = 0.5;

/** Runs until the main thread says `close`; rejects with what PostgreSQL crashed of. The channel's other records are as `RecordKind` says. */
export async function runSessions(host: SessionHost, channel: EngineChannel): Promise<void> {
  const clients = new Map<number, SessionClient>();
  const parts = new PartCollector();
  const garbage = new YoungGarbage();
  const { scheduler } = host;
  scheduler.onTurn = (session) => channel.setRunning(session?.pid ?? 0, () => {});
  scheduler.mayLinger = true;
  let crash: { readonly error: unknown } | undefined;
  void host.crash.then((error) => {
    crash = { error };
  });
  for (;;) {
    for (let record = channel.peek(); record; record = channel.peek()) {
      const { kind, run: number } = record;
      const payload = parts.collect(record);
      if (kind === RecordKind.close) {
        // Nobody calls `resume` after this.
        scheduler.mayLinger = false;
        scheduler.resume();
        return;
      }
      if (!payload) {
        channel.take(record);
        continue;
      }
      if (kind === RecordKind.open) {
        const onOver = () => clients.delete(number);
        clients.set(number, new SessionClient(host, channel, number, readJson(payload), onOver));
      } else clients.get(number)?.take(kind, payload, record.time);
      garbage.passed(payload.length);
      channel.take(record);
      if (kind === RecordKind.closeSession) clients.delete(number);
    }
    await turnOfTheLoop();
    if (crash) throw crash.error;
    if (!channel.peek()) channel.park(timeLeft(host));
    scheduler.resume();
  }
}

function timeLeft({ scheduler, idleTimers }: SessionHost): number {
  return Math.min(scheduler.nextDeadline, scheduler.resumeAt, idleTimers.next) - performance.now();
}

function readJson(payload: Uint8Array): Record<string, string> {
  return JSON.parse(Buffer.from(payload).toString("utf8")) as Record<string, string>;
}

/** One client's session: its input as it comes, its output as it is taken. */
class SessionClient implements SessionInput {
  readonly #host: SessionHost;
  readonly #channel: EngineChannel;
  readonly #number: number;
  /** Called when the main thread has been told of its end and nothing comes for it any more. */
  readonly #onOver: () => void;
  #session: Session | undefined;
  #chunks: Uint8Array[] = [];
  /** How much of the input it has read, modulo 2^32. */
  #position = 0;
  #wakeReader: (() => void) | undefined;
  #underWay = 0;
  #wakeWriter: (() => void) | undefined;
  #state: "opening" | "idle" | "running" | "ended" = "opening";
  /** When it became idle: `channelClock`. */
  #idleSince: number | undefined;
  /** How long its client lately took from an answer to its next batch, in ms. */
  #gapMs = 0.1;

  constructor(
    host: SessionHost,
    channel: EngineChannel,
    number: number,
    parameters: Record<string, string>,
    onOver: () => void,
  ) {
    this.#host = host;
    this.#channel = channel;
    this.#number = number;
    this.#onOver = onOver;
    void this.#open(parameters);
  }

  /** `time` is when the record was written. */
  take(kind: RecordKind, payload: Uint8Array, time: number): void {
    if (kind === RecordKind.input) this.#push(payload, time);
    if (kind === RecordKind.cancel && this.#session) this.#host.cancel(this.#session);
    if (kind === RecordKind.credit) this.#acknowledge(new DataView(payload.buffer, payload.byteOffset).getInt32(0));
    if (kind === RecordKind.closeSession) void this.#close();
  }

  get pending(): boolean {
    return this.#chunks.length > 0;
  }

  read(length: number): Uint8Array | Promise<Uint8Array> {
    if (this.#chunks.length > 0) return this.#cut(length);
    this.#report(RecordKind.hungry);
    return new Promise<void>((resolve) => {
      this.#wakeReader = resolve;
    }).then(() => this.#cut(length));
  }

  #cut(length: number): Uint8Array {
    const [chunk] = this.#chunks;
    if (!chunk) return new Uint8Array(0);
    const bytes = chunk.subarray(0, length);
    if (bytes.length === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(length);
    this.#position = (this.#position + bytes.length) | 0;
    return bytes;
  }

  #push(payload: Uint8Array, time: number): void {
    if (this.#state === "ended") return;
    if (this.#idleSince !== undefined) this.#learn(((time - this.#idleSince) | 0) / 1000);
    this.#idleSince = undefined;
    this.#chunks.push(payload.slice());
    this.#wakeReader?.();
    this.#wakeReader = undefined;
    if (this.#state === "idle") void this.#run();
  }

  async #open(parameters: Record<string, string>): Promise<void> {
    const answer: Uint8Array[] = [];
    const output = (bytes: Uint8Array): void => void answer.push(bytes.slice());
    const start = { user: "postgres", ...parameters };
    const session = await this.#host.createSession(start, output, this.#number);
    const bytes = Buffer.concat(answer);
    if (!session) {
      this.#reportEnd(bytes);
      return;
    }
    this.#session = session;
    session.client = (message) => this.#write(message);
    session.onEnded = () => this.#end();
    // Before the next session is loaded: the client's next batch may come meanwhile.
    session.onIdle = () => {
      if (this.pending || this.#state !== "running") return;
      this.#idleSince = channelClock();
      this.#report(RecordKind.idle);
    };
    if (this.#state === "ended") return this.#host.closeSession(session);
    this.#channel.send(RecordKind.opened, this.#number, bytes);
    this.#state = "idle";
    if (this.pending) await this.#run();
  }

  async #run(): Promise<void> {
    const session = this.#session!;
    this.#state = "running";
    let status = "I";
    while (this.pending && status !== "ended") status = await session.run(this, (bytes) => this.#write(bytes));
    if (status === "ended" || (this.#state as string) === "ended") return;
    this.#state = "idle";
  }

  // Waiting a bit for the same client is cheaper than a switch, if it usually comes soon.
  #learn(gapMs: number): void {
    this.#gapMs += (Math.min(gapMs, 4 * lingerMs) - this.#gapMs) / 4;
    this.#session!.lingerMs = this.#gapMs > lingerMs ? 0 : lingerMs;
  }

  #report(kind: RecordKind): void {
    const payload = Buffer.alloc(4);
    payload.writeInt32BE(this.#position);
    this.#channel.send(kind, this.#number, payload);
  }

  #write(bytes: Uint8Array): void | Promise<void> {
    if (this.#state === "ended") return;
    this.#channel.send(RecordKind.output, this.#number, bytes);
    this.#underWay += bytes.length;
    if (this.#underWay <= windowBytes) return;
    return new Promise<void>((resolve) => {
      this.#wakeWriter = resolve;
    });
  }

  #acknowledge(bytes: number): void {
    this.#underWay -= bytes;
    if (this.#underWay > windowBytes / 2) return;
    this.#wakeWriter?.();
    this.#wakeWriter = undefined;
  }

  // PostgreSQL's last words are output that comes with its end.
  #end(): void {
    if (this.#state === "ended") return;
    setImmediate(() => {
      if (this.#state !== "ended") this.#reportEnd();
    });
  }

  #reportEnd(lastWords?: Uint8Array): void {
    this.#state = "ended";
    this.#channel.send(RecordKind.ended, this.#number, lastWords);
    this.#onOver();
  }

  async #close(): Promise<void> {
    const isOver = this.#state === "ended";
    this.#state = "ended";
    this.#wakeReader?.();
    this.#wakeWriter?.();
    if (this.#session) await this.#host.closeSession(this.#session);
    if (!isOver) this.#reportEnd();
  }
}
