/**
 * The usual ways in which a driver puts messages together.
 *
 * Owns: the order of the messages. Does not own: their encoding, or how they are cut into segments.
 */
import { message } from "./wire-client.ts";

type Values = (string | null)[];

/** Parse, Bind, Execute and Sync of the unnamed statement. */
export function unprepared(sql: string, values: Values = []): Buffer[] {
  return [message.parse("", sql), ...bound("", values), message.sync()];
}

/** Parse and Sync. */
export function prepare(name: string, sql: string): Buffer[] {
  return [message.parse(name, sql), message.sync()];
}

/** Bind, Execute and Sync of a prepared statement. */
export function execute(name: string, values: Values = []): Buffer[] {
  return [...bound(name, values), message.sync()];
}

/** Bind and Execute. */
export function bound(name: string, values: Values = []): Buffer[] {
  return [message.bind("", name, values), message.execute("")];
}

/** Close of a statement and Sync. */
export function closeStatement(name: string): Buffer[] {
  return [message.close("S", name), message.sync()];
}
