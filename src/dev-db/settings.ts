/**
 * PostgreSQL's settings as the user wants them at start (`--set NAME=VALUE`, `--log-slow MS`).
 *
 * Owns: the names that are not the user's, each with its reason, and the error of a start that a setting has kept PostgreSQL from.
 * Does not own: names and values beyond that, which are PostgreSQL's to judge.
 * Invariant: a setting that this product is built on has one owner, and that is not the command line.
 */

import { UsageError } from "../errors.ts";
import { nameOf, type ResolvedOptions } from "../options.ts";
import type { StartupError } from "../sessions/server-log.ts";

const oneProcess = "all backends are in one process here";
const files = "where PostgreSQL's files are is this program's matter";
const listening = "it is not PostgreSQL that listens here";
const logging = "PostgreSQL's log is read by this program; see --log-level and --log-slow";

/** Why a setting cannot be set: what has an option, or a place that it is started with. */
const takenByOptions: Readonly<Record<string, string>> = {
  ...all("use --port", "port"),
  ...all("use --max-connections", "max_connections superuser_reserved_connections reserved_connections"),
  ...all("use --fsync", "fsync"),
  ...all(files, "data_directory config_file hba_file ident_file external_pid_file"),
  ...all("use --extension", "shared_preload_libraries"),
};

/** Of a native server. */
export const takenFromNative: Readonly<Record<string, string>> = {
  ...takenByOptions,
  ...all("it listens on this machine only", "listen_addresses unix_socket_directories"),
};

/** Of PGlite. */
const takenFromPglite: Readonly<Record<string, string>> = {
  ...takenByOptions,
  ...all(listening, "listen_addresses unix_socket_directories unix_socket_group unix_socket_permissions"),
  ...all("use --fsync", "wal_sync_method"),
  ...all("use --tls, --tls-cert and --tls-key", "ssl ssl_cert_file ssl_key_file ssl_ca_file ssl_crl_file"),
  ...all("use --extension", "local_preload_libraries"),
  ...all(
    oneProcess,
    "max_worker_processes max_parallel_workers max_parallel_workers_per_gather max_parallel_maintenance_workers " +
      "io_method io_workers autovacuum_worker_slots autovacuum_max_workers max_wal_senders max_files_per_process " +
      "shared_memory_type dynamic_shared_memory_type min_dynamic_shared_memory huge_pages max_stack_depth " +
      "restart_after_crash exit_on_error max_prepared_transactions",
  ),
  ...all("there is no other program that it could run", "archive_mode archive_command archive_library restore_command"),
  ...all(logging, "logging_collector log_destination log_line_prefix syslog_facility event_source log_min_messages"),
};

function all(reason: string, names: string): Record<string, string> {
  return Object.fromEntries(names.split(" ").map((name) => [name, reason]));
}

/** The settings by their names; of one that is given twice the last one counts. Throws a `UsageError` for one of `taken`. */
export function settingsOf(options: ResolvedOptions, taken = takenFromPglite): Readonly<Record<string, string>> {
  const entries = options.set.map((text) => {
    const at = text.indexOf("=");
    return [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()] as const;
  });
  for (const [name] of entries) {
    const reason = Object.hasOwn(taken, name) ? taken[name] : undefined;
    if (reason) throw new UsageError(`${nameOf(options, "set")}: ${name} cannot be set here: ${reason}`);
  }
  const slow = options.logSlowMs === undefined ? {} : { log_min_duration_statement: `${options.logSlowMs}ms` };
  return { ...slow, ...Object.fromEntries(entries) };
}

/** Settings that PostgreSQL sizes its shared memory by. */
const ofSharedMemory = /^(\w*_buffers|max_(pred_)?locks_per_\w+|max_notify_queue_pages|track_activity_query_size)$/;

/** The error of a start that failed: a `UsageError` in PostgreSQL's words when they are about one of the settings. */
export function explainSettings(options: ResolvedOptions, error: unknown): unknown {
  const { words } = (error ?? {}) as StartupError;
  if (!words) return error;
  const settings = Object.entries(settingsOf(options));
  const isAboutOne = settings.some(([name]) => words.toLowerCase().includes(`"${name}"`));
  const sizes = /memory/i.test(words) ? settings.filter(([name]) => ofSharedMemory.test(name)) : [];
  if (!isAboutOne && sizes.length === 0) return error;
  const said = words.replaceAll(/^(FATAL|ERROR): +/gm, "").replaceAll("\n", "\n  ");
  const given = sizes.map(([name, value]) => `${name}=${value}`).join(", ");
  const why = given ? `${given} needs more memory than the 2 GB that PostgreSQL has here: ${said}` : said;
  return new UsageError(`${nameOf(options, "set")}: ${why}`, { cause: error });
}
