/**
 * Where and with what a run was made.
 *
 * Owns: date, versions, machine. Does not own: the figures.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";

/** What the report says above the table. */
export interface Surroundings {
  readonly date: string;
  readonly node: string;
  readonly pglite: string;
  readonly stockLibrary: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly os: string;
  /** Load average of the last minute when the run began: how busy the machine was with other things. */
  readonly loadBefore: number;
}

/** Reads them; called before anything is started. */
export function surroundings(): Surroundings {
  return {
    date: new Date().toISOString(),
    node: process.versions.node,
    pglite: packageVersion("@electric-sql/pglite"),
    stockLibrary: packageVersion("pglite-socket-stock"),
    cpu: cpus()[0]?.model.trim() ?? "unknown CPU",
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${distribution()}${type()} ${release()}`,
    loadBefore: loadavg()[0] ?? 0,
  };
}

function packageVersion(name: string): string {
  const text = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
    return name === undefined ? "" : `${name}, `;
  } catch {
    return "";
  }
}
