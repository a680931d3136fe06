/**
 * What a client has set up in its session, read from the memory of the backend.
 *
 * Owns: which of it can be told: settings of SET and set_config, and the statements that the client has prepared by the protocol. Does
 * not own: what it is needed for (`../transport/kept-state.ts`).
 * Mirrors `struct config_generic` (utils/guc_tables.h).
 * Invariant: a layout that is not as this file says is an error, never a guess.
 */
import assert from "node:assert/strict";
import { setImmediate as turnOfTheLoop } from "node:timers/promises";
import { limits } from "../limits.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { readQueryResults } from "../wire/query-results.ts";
import { entriesOf, readStatements, textAt } from "./kept-statements.ts";
import { limitLockWait } from "./lock-limit.ts";
import type { Machine } from "./machine.ts";
import { type PostgresProcess, Signal } from "./postgres-process.ts";
import type { Located } from "./rewrite/postgres.ts";
import type { Session } from "./session.ts";
import { bytesInput, type ClientState, type SessionContext } from "./session-context.ts";

type Settings = ClientState["settings"];

/** Whom a session is. */
const identities = ["session_authorization", "role"];

/** Offsets in an entry of the table of settings, and in the setting that it leads to. */
const entrySetting = 4;
const settingType = 24;
const settingSource = 32;
/** `PGC_S_ARGV`, `PGC_S_SESSION` (utils/guc.h, GucSource); `PGC_INT` (config_type). */
const fromArguments = 4;
const fromSession = 13;
const typeInt = 1;
/** Those of a transaction, and one that cannot be read. */
const notKept = /^(transaction_(isolation|read_only|deferrable)|seed)$/;

/** Tells it to whoever wants to know what is going to end with the session. */
export async function tellLeaving(session: Session, host: SessionContext, located: Located): Promise<void> {
  if (!session.onLeaving) return;
  // It may be handling a signal; it is idle but for that.
  while (!session.isAtRest && session.state !== "ended") await turnOfTheLoop();
  session.onLeaving(await clientStateOf(session, host, located));
}

/** The settings of a session, as soon as it is at rest; always with those of whom it is. Undefined for one that has ended. */
export async function settingsOf(
  session: Session,
  { scheduler, machine, process }: SessionContext,
  located: Located,
): Promise<Settings | undefined> {
  while (!session.isAtRest && session.state !== "ended") await turnOfTheLoop();
  if (session.state === "ended") return undefined;
  return scheduler.take(session, () => {
    const { settings } = readClientState(machine, located, process);
    const missing = identities.filter((name) => settings.every(([known]) => known !== name));
    return [...settings, ...missing.map((name) => [name, process.setting(name)] as const)];
  });
}

/** Reads it of a session that is at rest; undefined where that cannot be, as of one that has ended. */
async function clientStateOf(
  session: Session,
  host: SessionContext,
  located: Located,
): Promise<ClientState | undefined> {
  if (!session.isAtRest) return undefined;
  try {
    const channels = session.hasListened ? await channelsOf(session, host) : [];
    const state = await host.scheduler.take(session, () => readClientState(host.machine, located, host.process));
    return { ...state, channels };
  } catch {
    return undefined;
  }
}

/** Rejects where that cannot be: everybody waits for it, so that it does not wait long for who has locked a catalog. */
async function channelsOf(session: Session, host: SessionContext): Promise<string[]> {
  const answer: Uint8Array[] = [];
  const cancel = () => void host.kill(session.pid, Signal.interrupt);
  const unlimited = limitLockWait(host, session, limits.leavingMs, cancel);
  const question = encodeQuery("select * from pg_catalog.pg_listening_channels()");
  await session.run(bytesInput(question), (bytes) => void answer.push(bytes.slice())).finally(unlimited);
  return readQueryResults(Buffer.concat(answer)).flatMap(({ rows }) => rows.map(([channel]) => channel!));
}

/** Of the loaded session, in a turn of it. Throws where the layout is another one. */
function readClientState(
  machine: Machine,
  { addresses }: Located,
  process: PostgresProcess,
): Omit<ClientState, "channels"> {
  const word = (address: number) => machine.words[address >> 2]!;
  const text = (address: number) => textAt(machine, address);
  const names: string[] = [];
  let isAsKnown = false;
  for (const entry of entriesOf(machine, word(addresses.settings))) {
    const setting = word(entry + entrySetting);
    const source = word(setting + settingSource);
    if (source === fromSession) names.push(text(word(setting)));
    else if (source === fromArguments && machine.startsWith(word(setting), "max_connections\0"))
      isAsKnown = word(setting + settingType) === typeInt;
  }
  assert(isAsKnown, "settings are laid out as in PostgreSQL 18");
  const kept = names.filter((name) => !notKept.test(name)).sort((one, other) => rank(one) - rank(other));
  return {
    settings: kept.map((name) => [name, process.setting(name)] as const),
    statements: readStatements(machine, process.preparedStatements),
  };
}

/** Who sets them may not be allowed to set the others any more. */
function rank(name: string): number {
  return identities.indexOf(name);
}
