/**
 * A trace as the data of its page.
 *
 * Owns: what of each event goes into the page, and the limit of that. Does not own: the file (`write-page.ts`), the words
 * (`../show/event-words.ts`).
 * Invariant: a page never lacks an event that fits its filter: what is too much for one is refused.
 */
import { basename } from "node:path";
import { UsageError } from "../../errors.ts";
import type { Trace } from "../read/trace-reader.ts";
import { type TracedMessage, type TraceEvent, traceEvents } from "../read/traced-messages.ts";
import { EventWords, lockHolders } from "../show/event-words.ts";
import { EventFilter, type ShowFilter } from "../show/filter.ts";
import { type EventColumns, eventKinds, type PageData } from "./page-data.ts";

/** A text in a message is cut there, and so are its bytes: the trace has the rest. */
const longestText = 4000;
const mostMessageBytes = 2048;
/** More than that makes a page slow. */
const mostEvents = 1_000_000;
const mostPageBytes = 192 * 1024 * 1024;

/** The data, and the bytes of its messages, one after the other. Throws a `UsageError` for what is too much for a page. */
export function collectPage(
  trace: Trace,
  file: string,
  filter: ShowFilter,
  decisions: boolean,
): { readonly data: PageData; readonly bytes: Buffer } {
  const processes = new Map<number, number>();
  const [chosen, words] = [new EventFilter(filter), new EventWords(processes, decisions, longestText)];
  const page = new Page();
  for (const event of traceEvents(trace, processes)) {
    const connection = "connection" in event ? event.connection : undefined;
    const whose = connection ?? ("processId" in event ? processes.get(event.processId) : undefined);
    if (event.kind === "message" && event.name === "StartupMessage") page.learn(event);
    if (chosen.shows(event, whose)) {
      const said = words.of(event, whose);
      const holders = lockHolders(event)?.flatMap((id) => processes.get(id) ?? []);
      if (said) page.add(event, whose, said.text, holders);
    }
    if (event.kind === "closed") words.forget(event.connection);
  }
  return page.finish(trace, file, processes);
}

class Page {
  readonly #texts = new Numbers();
  readonly #names = new Numbers();
  readonly #files = new Numbers();
  readonly #labels = new Map<number, string>();
  readonly #seen = new Set<number>();
  readonly #bytes: Buffer[] = [];
  readonly #waits: (readonly [number, readonly number[]])[] = [];
  readonly #woken: number[] = [];
  readonly #events: EventColumns = {
    ...{ time: [], kind: [], connection: [], name: [], isFrontend: [], isFirst: [], exchange: [], text: [] },
    ...{ statement: [], line: [], file: [], length: [], kept: [] },
  };
  #time = 0;
  #line = 0;
  #size = 0;

  constructor() {
    this.#names.of("");
  }

  /** Who a connection is. */
  learn({ connection, body }: TracedMessage): void {
    const words = body.toString("utf8", 4).split("\0");
    const given = new Map(words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? ""] as const] : [])));
    const who = [given.get("user"), given.get("database")].filter(Boolean).join("@");
    this.#labels.set(connection, [given.get("application_name"), who].filter(Boolean).join(" · ").slice(0, 200));
  }

  add(event: TraceEvent, connection: number | undefined, text: string, holders: readonly number[] | undefined): void {
    const events = this.#events;
    const index = events.time.length;
    const time = event.kind === "dropped" ? this.#time : event.time;
    const message = event.kind === "message" ? event : undefined;
    if (connection !== undefined) this.#seen.add(connection);
    if (holders) this.#waits.push([index, holders]);
    if (event.kind === "decision" && event.decision === "woken") this.#woken.push(index);
    events.time.push(time - this.#time);
    events.kind.push(eventKinds.indexOf(event.kind));
    events.connection.push(connection ?? 0);
    events.name.push(this.#names.of(message?.name ?? ""));
    events.isFrontend.push(message?.side === "frontend" ? 1 : 0);
    events.isFirst.push(message?.isFirst ? 1 : 0);
    events.exchange.push(message?.exchange ?? 0);
    events.text.push(this.#texts.of(message ? text.slice(text.indexOf(" ", 2) + 1 || text.length) : text));
    events.statement.push(message?.statement === undefined ? -1 : this.#texts.of(cut(message.statement)));
    events.line.push(event.line - this.#line);
    events.file.push(this.#files.of(basename(event.file)));
    this.#keep(message);
    this.#time = time;
    this.#line = event.line;
    if (events.time.length > mostEvents || this.#size + this.#texts.characters > mostPageBytes) {
      const what = `${events.time.length.toLocaleString("en")} events`;
      throw new UsageError(
        `--html: ${what} are too much for a page; choose with --since, --until, -c, --sql or --table`,
      );
    }
  }

  #keep(message: TracedMessage | undefined): void {
    const head = message?.type ? 5 : message && message.name !== "yes" && message.name !== "no" ? 4 : 0;
    const length = message ? head + message.body.length : 0;
    const kept = Math.min(length, mostMessageBytes);
    this.#events.length.push(length);
    this.#events.kept.push(kept);
    if (!message || kept === 0) return;
    const bytes = Buffer.alloc(kept);
    if (message.type) bytes.write(message.type, "latin1");
    if (head > 0) bytes.writeInt32BE(message.body.length + 4, head - 4);
    message.body.copy(bytes, head, 0, kept - head);
    this.#bytes.push(bytes);
    this.#size += kept;
  }

  finish(
    { header, isPartial }: Trace,
    file: string,
    processes: ReadonlyMap<number, number>,
  ): { readonly data: PageData; readonly bytes: Buffer } {
    const ids = new Map([...processes].map(([id, connection]) => [connection, id]));
    const connections = [...this.#seen]
      .sort((a, b) => a - b)
      .map((number) => ({ number, processId: ids.get(number), label: this.#labels.get(number) ?? "" }));
    const { began, by, versions } = header;
    const lists = { names: this.#names.list, texts: this.#texts.list, files: this.#files.list };
    const about = { file: basename(file), began, by, versions, isPartial };
    const data = { ...about, connections, ...lists, events: this.#events, waits: this.#waits, woken: this.#woken };
    return { data, bytes: Buffer.concat(this.#bytes) };
  }
}

function cut(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text;
}

/** Texts by numbers, each once. */
class Numbers {
  readonly list: string[] = [];
  readonly #numbers = new Map<string, number>();
  characters = 0;

  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.list.length;
    this.list.push(text);
    this.#numbers.set(text, number);
    this.characters += text.length;
    return number;
  }
}
