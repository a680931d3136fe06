/**
 * Whether a part of a script still fails.
 *
 * Owns: one attempt on a server, and what a later one must not find of it. Does not own: the server.
 * Invariant: the verdict is that of `trace check` on what came of the attempt, so that recorded answers do not matter.
 */
import { checkTrace } from "../check/check.ts";
import { PlayedTrace } from "../replay/played-trace.ts";
import { type Pace, play } from "../replay/player.ts";
import { answers } from "../replay/probe.ts";
import type { PlayTap, PlayTarget } from "../replay/replay-connection.ts";
import type { Pieces } from "./pieces.ts";

/** A server to try on. */
interface TryServer {
  readonly target: PlayTarget;
  /** A new one in its place. */
  renew(): Promise<TryServer>;
  stop(): Promise<void>;
}

/** For many attempts, of which most wait in vain for what was left out. */
export const quickly: Pace = { until: "quiet", gapMs: 3, patienceMs: 60 };
/** For an attempt that is counted. */
export const slowly: Pace = { until: "quiet", gapMs: 10, patienceMs: 1000 };

const aliveMs = 1000;

/** What is left behind by these: the next attempt needs a new server. */
const lasting =
  /\b(?:insert|update|delete|create|alter|drop|truncate|copy|nextval|setval|set|set_config|listen|prepare|begin|start)\b/i;

/** Tries scripts on one server after the other. */
export class Trials {
  #server: TryServer;
  #isUsed = false;
  attempts = 0;
  servers = 1;

  constructor(server: TryServer) {
    this.#server = server;
  }

  get server(): TryServer {
    return this.#server;
  }

  /** The kind and words of the first finding, if there is one. */
  async run(
    steps: Pieces,
    pace: Pace,
    alsoTo: PlayTap = () => {},
  ): Promise<{ kind: string; sentence: string } | undefined> {
    this.attempts++;
    if (this.#isUsed && (changes(steps) || !(await answers(this.#server.target, aliveMs)))) {
      this.servers++;
      this.#server = await this.#server.renew();
    }
    this.#isUsed = true;
    const played = new PlayedTrace();
    await play({ steps, came: new Map() }, this.#server.target, pace, (...what) => {
      played.tap(...what);
      alsoTo(...what);
    });
    const [finding] = checkTrace(played);
    return finding && { kind: finding.kind, sentence: `connection ${finding.connection} ${finding.sentence}` };
  }
}

function changes(steps: Pieces): boolean {
  return steps.some((step) => step.kind === "send" && lasting.test(step.bytes.toString("latin1")));
}
