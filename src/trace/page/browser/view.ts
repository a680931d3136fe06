/**
 * A trace in the page, with what is shown of it at the moment.
 *
 * Owns: unpacking the data, the filter, what is chosen. Does not own: how it is drawn.
 */
import { EventFilter, type ShowFilter } from "../../show/filter.ts";
import { type Axis, makeAxis } from "../axis.ts";
import { type EventColumns, eventKinds, type PageData } from "../page-data.ts";
import { type Events, type Lane, lanesOf, type Pipeline, sumUp } from "../timeline.ts";

/** See the head of the file. */
export class View {
  readonly data: PageData;
  readonly events: Events;
  readonly lanes: readonly Lane[];
  readonly #bytes: Uint8Array;
  /** The pipeline of each event; -1: none. */
  readonly #pipelines: readonly Pipeline[];
  readonly #pipelineOf: Int32Array;
  axis: Axis;
  /** 1: the event fits the filter. */
  shown: Uint8Array;
  /** The events that fit, in their order. */
  rows: readonly number[] = [];
  /** The lanes with such an event. */
  shownLanes: readonly Lane[] = [];
  chosen: number | undefined;

  constructor(data: PageData, bytes: Uint8Array) {
    this.data = data;
    this.#bytes = bytes;
    this.events = sumUp(data);
    this.lanes = lanesOf(data);
    this.axis = makeAxis(this.events.time, this.lanes, true);
    this.shown = new Uint8Array(this.events.count);
    this.#pipelines = this.lanes.flatMap(({ pipelines }) => pipelines);
    this.#pipelineOf = this.#membership();
    this.filter({ statements: [] });
  }

  shorten(isWanted: boolean): void {
    this.axis = makeAxis(this.events.time, this.lanes, isWanted);
  }

  filter(filter: ShowFilter): void {
    const chooser = new EventFilter(filter);
    const { count, time } = this.events;
    const { names, texts, events } = this.data;
    const [rows, busy] = [[] as number[], new Set<number>()];
    for (let i = 0; i < count; i++) {
      const connection = events.connection[i]!;
      const place = { time: time[i]!, connection, exchange: events.exchange[i]!, name: names[events.name[i]!]! };
      const side = events.isFrontend[i] === 1 ? "frontend" : "backend";
      const event = { kind: this.kind(i), ...place, side, statement: texts[events.statement[i]!] } as const;
      const isShown = chooser.shows(event, connection === 0 ? undefined : connection);
      this.shown[i] = isShown ? 1 : 0;
      if (!isShown) continue;
      rows.push(i);
      busy.add(connection);
    }
    this.rows = rows;
    this.shownLanes = this.lanes.filter(({ connection }) => busy.has(connection));
  }

  kind(i: number): (typeof eventKinds)[number] {
    return eventKinds[this.data.events.kind[i]!]!;
  }

  name(i: number): string {
    return this.data.names[this.data.events.name[i]!]!;
  }

  words(i: number): string {
    return this.data.texts[this.data.events.text[i]!]!;
  }

  statement(i: number): string | undefined {
    return this.data.texts[this.data.events.statement[i]!];
  }

  number(i: number, column: keyof EventColumns): number {
    return this.data.events[column][i]!;
  }

  bytes(i: number): Uint8Array {
    const at = this.events.at[i]!;
    return this.#bytes.subarray(at, at + this.data.events.kept[i]!);
  }

  pipeline(i: number): Pipeline | undefined {
    return this.#pipelines[this.#pipelineOf[i]!];
  }

  /** The statement that a pipeline has begun with. */
  pipelineStatement({ first, last }: Pipeline): string | undefined {
    const connection = this.number(first, "connection");
    for (let i = first; i <= last; i++) {
      if (this.number(i, "connection") !== connection) continue;
      const statement = this.statement(i);
      if (statement !== undefined) return statement;
    }
    return undefined;
  }

  #membership(): Int32Array {
    const found = new Int32Array(this.events.count).fill(-1);
    let number = 0;
    for (const { pipelines, events } of this.lanes) {
      const byExchange = new Map<number, number>();
      for (const { first } of pipelines) byExchange.set(this.number(first, "exchange"), number++);
      for (const i of events) {
        if (this.kind(i) === "message") found[i] = byExchange.get(this.number(i, "exchange")) ?? -1;
      }
    }
    return found;
  }
}

/** Unpacks what the page has. */
export async function loadView(): Promise<View> {
  const [data, bytes] = await Promise.all([unpack("data"), unpack("bytes")]);
  return new View(JSON.parse(new TextDecoder().decode(data)) as PageData, bytes);
}

async function unpack(id: string): Promise<Uint8Array> {
  const block = document.getElementById(id)!;
  const packed = Uint8Array.from(atob(block.textContent.trim()), (character) => character.charCodeAt(0));
  block.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
