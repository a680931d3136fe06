/**
 * An exploration in a file: what `explore()` takes, with actors that may be described instead of programmed.
 *
 * Owns: what such a file may have, and the errors about it. Does not own: running an actor (`script-actors.ts`), reading the file.
 * Invariant: whatever is wrong is found before the first schedule, and said with the file, the place in it and what is accepted there.
 */
import { UsageError } from "../errors.ts";
import type { Actor, ExploreOptions } from "./report.ts";
import { commandActor, requestActor, type Stage, sqlActor } from "./script-actors.ts";
import type { Sql } from "./sql.ts";

/** What a file says. */
export interface Script {
  /** A command that starts the server under test. */
  readonly server: string | undefined;
  /** Where that listens, as the actors' requests have it. */
  readonly addresses: readonly URL[];
  readonly options: Omit<ExploreOptions, "db">;
}

/** So long a process may take before it comes to the database. */
const processSilenceMs = 5000;
const keys = "server, actors, invariant, reset, strategy, schedules, stopAtFirst, silenceMs, replay, trace".split(", ");
const actorForms =
  '{ "sql": ["begin", …] }, { "run": "a command" } or { "request": "POST http://…", "headers": {…}, "body": … }';

/** Reads what a file has. `Stage` is where its actors are run. Throws a `UsageError` that names the file and the place. */
export function readScript(file: string, value: unknown, stage: Stage): Script {
  const wrong = (place: string, is: string): UsageError => new UsageError(`${file}: ${place}: ${is}`);
  if (!isRecord(value)) throw wrong("the whole", `an object with ${keys.join(", ")} is needed`);
  for (const key of Object.keys(value))
    if (!keys.includes(key) && key !== "db") throw wrong(key, `there is no such key; there are ${keys.join(", ")}`);
  const { server, actors, invariant, reset, db: _, ...more } = value;
  if (server !== undefined && typeof server !== "string") throw wrong("server", "a command is needed");
  if (!isRecord(actors) || Object.keys(actors).length === 0)
    throw wrong("actors", `an object is needed: a name, and ${actorForms}`);
  const addresses: URL[] = [];
  const read = Object.entries(actors).map(([name, actor]) => {
    const place = `actors.${name}`;
    return [name, readActor(actor, stage, addresses, (is) => wrong(place, is))] as const;
  });
  const isSlow = Object.values(actors).some((actor) => isRecord(actor) && "run" in actor);
  const options: Omit<ExploreOptions, "db"> = {
    ...(isSlow ? { silenceMs: processSilenceMs } : {}),
    ...(more as Partial<ExploreOptions>),
    actors: Object.fromEntries(read),
    invariant: readInvariant(invariant, (is) => wrong("invariant", is)),
    reset: readReset(reset, (is) => wrong("reset", is)),
  };
  return { server, addresses, options };
}

type Wrong = (is: string) => UsageError;

function readActor(actor: unknown, stage: Stage, addresses: URL[], wrong: Wrong): Actor {
  if (typeof actor === "function") return actor as Actor;
  if (!isRecord(actor)) throw wrong(`${shown(actor)} is none of ${actorForms}`);
  const form = ["sql", "run", "request"].filter((key) => key in actor);
  const allowed = form[0] === "request" ? ["request", "headers", "body"] : form;
  if (form.length !== 1 || Object.keys(actor).some((key) => !allowed.includes(key)))
    throw wrong(`${shown(actor)} is none of ${actorForms}`);
  const { sql, run, request, headers = {}, body } = actor;
  if (form[0] === "sql") {
    const isList = Array.isArray(sql) && sql.length > 0 && sql.every((each) => typeof each === "string");
    if (!isList) throw wrong(`sql is a list of statements, each sent on its own, not ${shown(sql)}`);
    return sqlActor(sql, stage);
  }
  if (form[0] === "run") {
    if (typeof run !== "string" || run.trim() === "") throw wrong(`run is a command for the shell, not ${shown(run)}`);
    return commandActor(run, stage);
  }
  const [, method = "GET", address = ""] = /^(?:([A-Za-z]+)\s+)?(\S+)$/.exec(String(request).trim()) ?? [];
  if (!/^https?:/.test(address) || !URL.canParse(address))
    throw wrong(`request is a method and a URL, as "POST http://127.0.0.1:3000/buy", not ${shown(request)}`);
  if (!isRecord(headers) || Object.values(headers).some((each) => typeof each !== "string"))
    throw wrong(`headers is an object of texts, not ${shown(headers)}`);
  addresses.push(new URL(address));
  const isText = body === undefined || typeof body === "string";
  const type = isText ? {} : { "content-type": "application/json" };
  const own = headers as Record<string, string>;
  const text = isText ? body : JSON.stringify(body);
  return requestActor({ url: address, method: method.toUpperCase(), headers: { ...type, ...own }, body: text });
}

function readInvariant(invariant: unknown, wrong: Wrong): ExploreOptions["invariant"] {
  if (typeof invariant === "function") return invariant as ExploreOptions["invariant"];
  if (typeof invariant !== "string" || invariant.trim() === "")
    throw wrong('a query that gives true or false is needed, as "select count(*) <= 1 from sold"');
  return async (sql) => {
    const rows = await sql(invariant);
    const [value] = Object.values(rows[0] ?? {});
    // The exploration says what it is, and ends.
    return (rows.length === 1 && typeof value === "boolean" ? value : (rows as unknown)) as boolean;
  };
}

function readReset(reset: unknown, wrong: Wrong): ExploreOptions["reset"] {
  if (reset === undefined || typeof reset === "function") return reset as ExploreOptions["reset"];
  if (typeof reset !== "string") throw wrong("statements are needed; without it the server is brought back by itself");
  return (sql: Sql) => sql(reset);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
