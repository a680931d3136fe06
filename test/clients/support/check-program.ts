/**
 * The programs in test/clients/programs that check every answer themselves: running one case of one against a server.
 *
 * Owns: their command line (CASE URL CONNECTIONS) and the reading of their report. Does not own: their cases.
 */
import { join } from "node:path";
import { expect } from "vitest";
import { atOnce } from "./at-once.ts";
import { jdbcDriver, python } from "./installed.ts";
import { type Run, run } from "./run-program.ts";
import { type ServerProcess, startStock } from "./server-process.ts";

const programs = join(import.meta.dirname, "..", "programs");

/** Runs one case of a program against the server at `url`. */
export type Program = (name: string, url: string, connections: number, limitMs?: number) => Promise<Run>;

/** A python program of test/clients/programs. */
export function pythonProgram(file: string): Program {
  // -B: no __pycache__ in the checkout.
  return (name, url, connections, limitMs = 200_000) =>
    run(python, ["-B", join(programs, file), name, url, `${connections}`], { limitMs });
}

/** The java program of test/clients/programs, after it was compiled by `compileJava` into `classes`. */
export function javaProgram(classes: string): Program {
  const java = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", `${classes}:${jdbcDriver}`, "WithJdbc"];
  return (name, url, connections, limitMs = 200_000) =>
    run("java", [...java, name, jdbcUrl(url), `${connections}`], { limitMs });
}

/** Compiles it into the directory `classes`. */
export async function compileJava(classes: string): Promise<void> {
  const result = await run("javac", ["-cp", jdbcDriver, "-d", classes, join(programs, "WithJdbc.java")]);
  if (result.code !== 0) throw new Error(result.all);
}

/** Expects that the case ends well over six connections, with exactly the checks that it makes against PostgreSQL. */
export async function expectAllRight(program: Program, name: string, server: ServerProcess, checked: number) {
  expectRight(await program(name, server.url, 6), name, checked);
}

/** Expects that a run of the case ended well, with exactly `checked` checks. */
export function expectRight(result: Run, name: string, checked: number): void {
  expect(result.code, result.all).toBe(0);
  expect(JSON.parse(result.stdout)).toEqual({ case: name, checked });
}

/**
 * Expects that the case, right for one connection at a time, fails or hangs on the stock library for several: six of one
 * process, or one of each of six processes. Returns what it said.
 */
export async function expectStockFails(program: Program, name: string, processes: 1 | 6 = 1): Promise<string> {
  const stock = await startStock();
  try {
    const alone = await program(name, stock.url, 1);
    expect(alone.code, alone.all).toBe(0);
    const together = await atOnce(processes, () => program(name, stock.url, 6 / processes, 10_000));
    const failed = together.filter(({ code }) => code !== 0);
    expect(failed.length).toBeGreaterThan(0);
    return failed.map(({ all }) => all).join("\n");
  } finally {
    await stock.stop();
  }
}

function jdbcUrl(url: string): string {
  const { host, pathname, username, password, search } = new URL(url);
  return `jdbc:postgresql://${host}${pathname}?user=${username}&password=${password}${search.replace("?", "&")}`;
}
