/**
 * The step language: interleaved steps of several sessions, with what each is expected to give.
 *
 * Owns: the grammar. Does not own: running (`run-script.ts`), what an outcome looks like (`outcome.ts`).
 * Invariant: a script is read whole or refused with the line; an expectation is text and is compared as text.
 *
 *     setup: create table t (id int primary key, v text)      run once before, by a session that is none of the others
 *     A: begin                           → BEGIN              A sends it; then everybody ends or waits
 *     B: update t set v = 'x'            → waits for A        it waits, and for whom
 *     B:                                 → UPDATE 1           what B had sent ends here; or a notification arrives
 *     B&: select pg_sleep(0.1)                                sent, not waited for; it ends at the next `B:`
 *     B! cancel                                               see `commands`; `<A>` in SQL is A's process id
 *
 * An indented line continues the one before; `#` begins a comment line.
 */

/** What a client can do beside sending SQL. */
const commands = ["connect", "cancel", "leave", "vanish", "parse", "run", "data", "done"] as const;

/** `connect name=value, …` with startup parameters; `leave` politely; `vanish` without a word; `parse NAME SQL` and
 * `run NAME VALUE …` with the extended protocol; `data` and `done` during COPY FROM STDIN. */
type Command = (typeof commands)[number];

/** One line. */
export interface ScriptLine {
  readonly session: string;
  readonly action:
    | { readonly kind: "send"; readonly sql: string; readonly inBackground: boolean }
    | { readonly kind: "end" }
    | { readonly kind: "command"; readonly command: Command; readonly text: string };
  /** What is written behind the arrow. */
  readonly expected: string | undefined;
  /** The line as it is shown, without the expectation. */
  readonly text: string;
}

/** A script. */
export interface Script {
  readonly setups: readonly string[];
  readonly lines: readonly ScriptLine[];
  /** Names of the sessions, sorted. */
  readonly sessions: readonly string[];
}

/** Reads a script. Throws naming the line that cannot be read. */
export function readScript(text: string): Script {
  const setups: string[] = [];
  const lines: ScriptLine[] = [];
  for (const line of logicalLines(text)) {
    const setup = /^setup:\s*(.+)$/s.exec(line);
    if (setup) setups.push(setup[1]!);
    else lines.push(readLine(line));
  }
  return { setups, lines, sessions: [...new Set(lines.map(({ session }) => session))].sort() };
}

function logicalLines(text: string): string[] {
  const written = text.split("\n").filter((line) => line.trim() !== "" && !line.trim().startsWith("#"));
  const indent = Math.min(...written.map((line) => line.length - line.trimStart().length));
  const joined: string[] = [];
  for (const line of written.map((one) => one.slice(indent).trimEnd())) {
    if (/^\s/.test(line) && joined.length > 0) joined.push(`${joined.pop()} ${line.trim()}`);
    else joined.push(line);
  }
  return joined;
}

function readLine(line: string): ScriptLine {
  const found = /^([A-Z]\w*)(:|&:|!)(.*)$/.exec(line);
  if (!found) throw new Error(`a step begins with the name of a session: ${line}`);
  const [, session, mark, rest] = found as unknown as [string, string, string, string];
  const arrow = rest.indexOf("→");
  const body = (arrow === -1 ? rest : rest.slice(0, arrow)).trim();
  const expected = arrow === -1 ? undefined : rest.slice(arrow + 1).trim();
  const text = `${session}${mark}${body === "" ? "" : ` ${body}`}`;
  if (mark === "!") {
    const [word = "", ...more] = body.split(" ");
    const command = commands.find((one) => one === word);
    if (!command) throw new Error(`"${word}" is none of the commands ${commands.join(", ")}: ${line}`);
    return { session, action: { kind: "command", command, text: more.join(" ") }, expected, text };
  }
  if (body === "") return { session, action: { kind: "end" }, expected, text };
  return { session, action: { kind: "send", sql: body, inBackground: mark === "&:" }, expected, text };
}
