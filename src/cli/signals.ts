/**
 * The signals that end the process.
 *
 * Owns: what the first and the second one mean, and the time between the first one and the end. Does not own: what
 * there is to be closed.
 * Invariant: after the first signal the process always ends within 5 s plus `heldMs`; a second signal ends it at once.
 */
import { constants } from "node:os";

/** The signals that ask for an end. */
const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** One of `endingSignals`. */
type EndingSignal = (typeof endingSignals)[number];

/** How long the graceful end may take. */
const gracefulEndMs = 4_500;

/**
 * A terminal and npm both pass one Ctrl-C on to this process, a moment apart; such a pair is one signal.
 */
const samePressMs = 100;

/** The exit code for a signal: 128 plus its number. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + (constants.signals[signal] ?? 0);
}

/** The reason of an abort by a signal. */
export class SignalReceived extends Error {
  override readonly name = "SignalReceived";
  readonly signal: EndingSignal;
  constructor(signal: EndingSignal) {
    super(`received ${signal}`);
    this.signal = signal;
  }
  get exitCode(): number {
    return signalExitCode(this.signal);
  }
}

/** Options that change the effect of a signal. */
interface SignalRules {
  /** Whether a signal is for another process and has no effect here. */
  readonly isIgnored?: (signal: EndingSignal) => boolean;
  /** How much longer the graceful end may take; Infinity for no limit. */
  readonly heldMs?: () => number;
}

/**
 * Listens from now on. The first signal aborts the returned `AbortSignal` with a `SignalReceived`; a second one, or the
 * end of the time for a graceful end, calls `endNow` and exits.
 */
export function listenForSignals(endNow: () => void, rules: SignalRules = {}): AbortSignal {
  const abort = new AbortController();
  let first: number | undefined;
  const exit = (signal: EndingSignal) => {
    try {
      endNow();
    } finally {
      process.exit(signalExitCode(signal));
    }
  };
  const onSignal = (signal: EndingSignal) => {
    if (rules.isIgnored?.(signal)) return;
    const now = performance.now();
    if (first === undefined) {
      first = now;
      const limitMs = gracefulEndMs + (rules.heldMs?.() ?? 0);
      if (Number.isFinite(limitMs)) setTimeout(() => exit(signal), limitMs).unref();
      abort.abort(new SignalReceived(signal));
    } else if (now - first > samePressMs) {
      exit(signal);
    }
  };
  for (const signal of endingSignals) process.on(signal, onSignal);
  return abort.signal;
}
