/**
 * The server's clock: set, advanced, in discrete time, reset.
 *
 * Owns: which times it may be set to, and when it may go back. Does not own: the clock (`sessions/clock.ts`), when it jumps in
 * discrete time (`sessions/scheduler.ts`).
 * Invariant: no session sees time go back. So it does only while no client has one.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { ClockChange, ClockState } from "../engine/clock.ts";
import { SqlStateError } from "../errors.ts";
import { limits } from "../limits.ts";
import { latestMs } from "../sessions/clock.ts";
import { goesOnByItself } from "../sessions/deadlock.ts";
import type { SessionHost } from "../sessions/host.ts";
import type { ClientSession } from "../transport/client-session.ts";
import type { IsolatedQueue } from "../transport/isolated-queue.ts";

/** What PostgreSQL reads as seconds since 1970 is not negative; beyond the last year that drivers and `Date` can all write there is no use. */
const earliest = Date.UTC(1970, 0, 2);

/** How long to wait between two looks at who is connected, in ms. */
const lookAgainMs = 5;

/** Runs `work` when the server's own sessions have ended, and while they do not begin. */
type WithoutOwn = <T>(work: () => Promise<T>) => Promise<T>;

/** See the head of the file. */
export class ServerClock {
  readonly #host: SessionHost;
  readonly #queues: readonly IsolatedQueue[];
  readonly #withoutOwn: WithoutOwn;
  #last: Promise<unknown> = Promise.resolve();

  /** `queues`: those of the clients. */
  constructor(host: SessionHost, queues: readonly IsolatedQueue[], withoutOwn: WithoutOwn) {
    this.#host = host;
    this.#queues = queues;
    this.#withoutOwn = withoutOwn;
  }

  /** One change after the other. A client that asks for it may be connected, when it idles outside of a transaction. */
  change(change: ClockChange, asker?: ClientSession): Promise<ClockState> {
    const changed = this.#last.then(() => this.#change(change, asker));
    this.#last = changed.catch(() => {});
    return changed;
  }

  async #change(change: ClockChange, asker: ClientSession | undefined): Promise<ClockState> {
    const { clock } = this.#host.machine;
    if (change.do === "set") await this.#go((now) => change.to - now, asker);
    else if (change.do === "advance") await this.#go(() => change.by, asker);
    else if (change.do === "discrete") this.#setDiscrete(change.on);
    else if (change.do === "reset") {
      await this.#go(() => -clock.aheadMs, asker);
      this.#setDiscrete(false);
    }
    return {
      now: Math.floor(clock.wallMs),
      ahead: clock.aheadMs,
      isDiscrete: this.#host.scheduler.mayJump !== undefined,
    };
  }

  /** `by` is asked again when those who are leaving have left: how far it is to a time depends on when it is now. */
  async #go(by: (now: number) => number, asker: ClientSession | undefined): Promise<void> {
    const { clock } = this.#host.machine;
    const now = clock.wallMs;
    // Up to a millisecond later rather than earlier than the time that was asked for.
    const ms = Math.ceil(by(now));
    const to = now + ms;
    if (!(to >= earliest && to <= latestMs))
      throw new SqlStateError("22008", `the time can be from ${shown(earliest)} to ${shown(latestMs)}`);
    if (ms >= 0) clock.jump(ms);
    else await this.#goBack((then) => Math.max(0, -Math.ceil(by(then))), asker);
  }

  async #goBack(by: (now: number) => number, asker: ClientSession | undefined): Promise<void> {
    const { clock } = this.#host.machine;
    await this.#withoutOwn(async () => {
      const others = await this.#others(asker);
      const inTheWay = others[0] ?? (asker?.mayLetGo === false ? asker : undefined);
      if (inTheWay) {
        const now = clock.wallMs;
        const times = `from ${shown(now)} to ${shown(now - by(now))}`;
        const why =
          inTheWay === asker
            ? "this connection is in a transaction"
            : `clients are connected, ${others.length} of them: ${inTheWay.describe()}`;
        throw new SqlStateError(
          "55006",
          `the time cannot go back ${times} while ${why}. Close them first, or set a later time`,
        );
      }
      asker?.letGo();
      await this.#host.withoutSessions(() => clock.setBack(by(clock.wallMs)));
      await asker?.comeBack();
    });
  }

  /** Who is connected beside the one who asks. Those who have just hung up go in a moment. */
  async #others(asker: ClientSession | undefined): Promise<ClientSession[]> {
    const until = performance.now() + limits.leavingMs;
    for (;;) {
      const others = this.#queues.flatMap(({ connected }) => connected).filter((client) => client !== asker);
      if (others.length === 0 || performance.now() >= until) return others;
      await delay(lookAgainMs);
    }
  }

  #setDiscrete(on: boolean): void {
    const host = this.#host;
    host.scheduler.mayJump = on ? (session) => goesOnByItself(host, session) : undefined;
    host.scheduler.planJump();
  }
}

function shown(ms: number): string {
  return new Date(ms).toISOString();
}
