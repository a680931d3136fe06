/**
 * The number of connections that PostgreSQL shows as its limit.
 *
 * Owns: the shown value of `max_connections`. PostgreSQL has room for more: for ending sessions, and for the server's own.
 * Does not own: the limit of clients (the socket library), the room for sessions (`boot.ts`).
 * Mirrors `struct config_int` (utils/guc_tables.h). Invariant: a layout that differs from this file is an error, never a guess.
 */
import assert from "node:assert/strict";
import { limits } from "../limits.ts";
import type { Machine } from "./machine.ts";

/** Offsets in a setting that is an integer. */
const variable = 92;
const bootValue = 96;
const resetValue = 120;
const defaultConnections = 100;
/** `ERROR` (utils/elog.h). */
const errorLevel = 21;

/** Returns how many of `sessions` are for clients. */
export function connectionsOf(sessions: number): number {
  return Math.max(1, sessions - limits.spareSessions);
}

/** Returns how many of these are for superusers only. */
export function reservedOf(connections: number): number {
  return Math.min(limits.reservedConnections, connections - 1);
}

/** Sets the value in the memory that every session begins with. `isNow`: PostgreSQL's value at its start. */
export function showConnections(machine: Machine, isNow: number, shown: number): void {
  const name = new TextEncoder().encode("max_connections\0");
  const address = machine.function("malloc")(name.length);
  machine.write(address, name);
  const setting = machine.function("find_option")(address, 0, 1, errorLevel);
  machine.function("free")(address);
  const word = (at: number) => machine.words[at >> 2]!;
  const isAsKnown =
    word(setting + bootValue) === defaultConnections &&
    word(setting + resetValue) === isNow &&
    word(word(setting + variable)) === isNow;
  assert(isAsKnown, "settings are laid out as in PostgreSQL 18");
  machine.setWord(word(setting + variable), shown);
  machine.setWord(setting + resetValue, shown);
}
