/**
 * Errors that this project makes itself, and the exit codes of the command line.
 *
 * Owns: the error classes and the exit codes. Does not own: errors of the engine, which are bytes and pass through.
 * Invariant: every error that a person can see names the thing, the value and what is accepted.
 */

/** What the process exits with; the contract is in docs/options.md ("Exit codes"). `128 + n` is used for signals. */
export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  migration: 3,
  portTaken: 4,
  dataDirectory: 5,
} as const;

/** An option, argument or setting that cannot be used: nothing has been started. Exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly exitCode = ExitCode.usage;
  /** The error that the client of the statement or login gets. */
  readonly code: string | undefined;
  constructor(message: string, { code, ...options }: ErrorOptions & { readonly code?: string } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** A migration or a seed that failed: the server never listened. Exit code 3. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
  readonly exitCode = ExitCode.migration;
}

/** A port that was asked for by name and is taken. Exit code 4. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  readonly exitCode = ExitCode.portTaken;
}

/** A data directory that cannot be opened. Exit code 5. */
export class DataDirectoryError extends Error {
  override readonly name = "DataDirectoryError";
  readonly exitCode = ExitCode.dataDirectory;
}

/** A server that could not be connected to, or that did not keep to the protocol. Exit code 1. */
export class ServerConnectionError extends Error {
  override readonly name = "ServerConnectionError";
  readonly exitCode = ExitCode.failure;
}

/** Isolated sessions cannot be had with this Node or this PGlite. Shared ones can. */
export class SessionsUnavailableError extends Error {
  override readonly name = "SessionsUnavailableError";
}

/** An error that a client is told about: a SQLSTATE, with what the manual calls detail and hint. */
export class SqlStateError extends Error {
  override readonly name = "SqlStateError";
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  constructor(code: string, message: string, more: { detail?: string; hint?: string } = {}) {
    super(message);
    this.code = code;
    this.detail = more.detail;
    this.hint = more.hint;
  }
}
