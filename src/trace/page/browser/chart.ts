/**
 * The lanes on a canvas.
 *
 * Owns: which part of time is seen, and what is drawn of the lanes that are in sight. Does not own: what happened
 * (`timeline.ts`), the mouse (`pointer.ts`).
 * Invariant: what is drawn is bounded by the pixels: bars of less than one share it.
 */
import { ticksOf, timeWords } from "../axis.ts";
import type { Lane, LockWait, Pipeline } from "../timeline.ts";
import type { View } from "./view.ts";

/** Heights in pixels. */
export const [axisHeight, laneHeight] = [26, 36];
const [barTop, barHeight] = [10, 16];

const colorNames = [
  ...["back", "panel", "line", "text", "soft", "asked", "waiting", "answered", "transaction", "transaction-edge"],
  ...["rolled", "rolled-edge", "error", "lock", "chosen"],
] as const;

/** How many of each were drawn last. */
interface Drawn {
  lanes: number;
  transactions: number;
  pipelines: number;
  waits: number;
  errors: number;
}

/** See the head of the file. */
export class Chart {
  readonly box: HTMLElement = document.getElementById("chart")!;
  readonly canvas: HTMLCanvasElement = document.getElementById("canvas") as HTMLCanvasElement;
  readonly #view: View;
  readonly #context: CanvasRenderingContext2D = this.canvas.getContext("2d")!;
  #colors: Record<string, string> = {};
  /** Places of the axis. */
  from = 0;
  to = 1;
  width = 0;
  height = 0;
  #isDue = false;

  constructor(view: View) {
    this.#view = view;
    this.fit();
  }

  /** Shows all of the time. */
  fit(): void {
    const { end } = this.#view.axis;
    this.show(-end * 0.01, end * 1.01);
  }

  /** Shows a part of the time; not less than 20 µs, not more than there is. */
  show(from: number, to: number): void {
    const { end } = this.#view.axis;
    const length = Math.min(Math.max(to - from, 20), end * 1.02 + 20);
    this.from = Math.min(Math.max((from + to - length) / 2, -end * 0.01 - length * 0.1), end * 1.01 - length * 0.9);
    this.to = this.from + length;
    this.draw();
  }

  /** `factor` < 1: nearer. The event stays where it is, if it is in sight; else the middle does. */
  zoom(factor: number, event: number | undefined): void {
    const place = event === undefined ? Number.NaN : this.#view.axis.places[event]!;
    this.zoomAt(factor, place >= this.from && place <= this.to ? place : (this.from + this.to) / 2);
  }

  /** `at` stays where it is. */
  zoomAt(factor: number, at: number): void {
    this.show(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  /** Brings an event into sight. */
  reveal(event: number): void {
    const place = this.#view.axis.places[event]!;
    const length = this.to - this.from;
    if (place < this.from + length * 0.02 || place > this.to - length * 0.02) {
      this.show(place - length / 2, place + length / 2);
    }
    const lane = this.#view.shownLanes.findIndex(
      ({ connection }) => connection === this.#view.number(event, "connection"),
    );
    const { scrollTop, clientHeight } = this.box;
    const top = lane * laneHeight;
    if (lane >= 0 && (top < scrollTop || top + laneHeight > scrollTop + clientHeight - axisHeight)) {
      this.box.scrollTop = top - (clientHeight - axisHeight - laneHeight) / 2;
    }
    this.draw();
  }

  /** Where an event is. */
  x(event: number): number {
    return ((this.#view.axis.places[event]! - this.from) / (this.to - this.from)) * this.width;
  }

  place(x: number): number {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  /** Draws, before the next frame is shown. */
  draw(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#paint();
    });
  }

  #paint(): void {
    const style = getComputedStyle(document.documentElement);
    this.#colors = Object.fromEntries(colorNames.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    this.#size();
    const drawn: Drawn = { lanes: 0, transactions: 0, pipelines: 0, waits: 0, errors: 0 };
    const { shownLanes } = this.#view;
    const first = Math.floor(this.box.scrollTop / laneHeight);
    this.#fill("back", 0, 0, this.width, this.height);
    this.#breaks();
    const seen = shownLanes.slice(first, first + Math.ceil(this.height / laneHeight) + 1);
    const top = (at: number) => axisHeight + (first + at) * laneHeight - this.box.scrollTop;
    seen.forEach((lane, at) => {
      this.#lane(lane, top(at), drawn);
    });
    this.#chosen(shownLanes);
    seen.forEach((lane, at) => {
      this.#errors(lane, top(at), drawn);
    });
    this.#axis();
    Object.assign(this.canvas.dataset, drawn);
  }

  #size(): void {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.box.clientHeight;
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.height = `${this.height}px`;
    }
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  #fill(color: string, x: number, y: number, width: number, height: number): void {
    this.#context.fillStyle = this.#colors[color]!;
    this.#context.fillRect(x, y, width, height);
  }

  #lane(lane: Lane, y: number, drawn: Drawn): void {
    drawn.lanes++;
    this.#fill("line", 0, y + laneHeight - 1, this.width, 1);
    drawn.transactions += this.#spans(lane.transactions, (x, width, { outcome }) => {
      const isGood = outcome === "committed" || outcome === "open";
      this.#fill(isGood ? "transaction-edge" : "rolled-edge", x, y + 3, width, laneHeight - 7);
      if (width > 2) this.#fill(isGood ? "transaction" : "rolled", x + 1, y + 4, width - 2, laneHeight - 9);
    });
    drawn.pipelines += this.#spans(lane.pipelines, (x, width, pipeline) => {
      this.#context.globalAlpha = this.#isShown(pipeline.first, pipeline.last) ? 1 : 0.2;
      this.#fill(width > 3 ? "answered" : "asked", x, y + barTop, width, barHeight);
      if (width > 3) this.#waits(pipeline, y);
      this.#context.globalAlpha = 1;
    });
    this.#words(lane, y);
    drawn.waits += this.#spans(lane.waits, (x, width, wait) => {
      this.#fill("lock", x, y + barTop, width, barHeight);
      this.#holders(wait, x, y, width);
    });
  }

  /** Between a message and its answer. */
  #waits({ waits, last }: Pipeline, y: number): void {
    for (const { first, asked, answered } of waits) {
      const [from, sent] = [this.x(first), this.x(asked)];
      const to = answered === undefined ? this.x(last) : Math.max(sent, this.x(answered) - 1);
      if (from > this.width) return;
      if (to < 0) continue;
      this.#fill("waiting", sent, y + barTop, to - sent, barHeight);
      this.#fill("asked", from, y + barTop, Math.max(1.5, sent - from), barHeight);
    }
  }

  /** Whether an event between them, of their connection, fits the filter. */
  #isShown(first: number, last: number): boolean {
    const { shown } = this.#view;
    if (shown[first] === 1 || shown[last] === 1) return true;
    const connection = this.#view.number(first, "connection");
    // Far apart it is one of the two: all others would have to be looked through for each frame.
    for (let i = first; i <= Math.min(last, first + 100); i++) {
      if (shown[i] === 1 && this.#view.number(i, "connection") === connection) return true;
    }
    return false;
  }

  /** Calls `paint` for what is in sight, of those of less than a pixel once for each. */
  #spans<T extends { readonly first: number; readonly last: number }>(
    spans: readonly T[],
    paint: (x: number, width: number, span: T) => void,
  ): number {
    let [painted, end] = [0, Number.NEGATIVE_INFINITY];
    for (const span of spans) {
      const to = this.x(span.last);
      if (to < 0 || (to < end && to - end < 1)) continue;
      const from = this.x(span.first);
      if (from > this.width) break;
      const width = Math.max(1.5, to - from);
      if (from + width <= end) continue;
      paint(from, width, span);
      painted++;
      end = width <= 1.5 ? Math.floor(from) + 1 : Number.NEGATIVE_INFINITY;
    }
    return painted;
  }

  /** The statement in a bar that is wide enough. */
  #words({ pipelines }: Lane, y: number): void {
    const context = this.#context;
    context.font = "11px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
    context.fillStyle = this.#colors.text!;
    context.textBaseline = "middle";
    this.#spans(pipelines, (x, width, pipeline) => {
      const from = Math.max(x, 0) + 5;
      const room = Math.floor((Math.min(x + width, this.width) - from - 3) / 6.7);
      if (room < 5 || !this.#isShown(pipeline.first, pipeline.last)) return;
      const text = (this.#view.pipelineStatement(pipeline) ?? this.#view.name(pipeline.first)).replaceAll(/\s+/g, " ");
      context.fillText(text.length > room ? `${text.slice(0, room - 1)}…` : text, from, y + barTop + barHeight / 2);
    });
  }

  /** Who holds the lock: a line from there. */
  #holders(wait: LockWait, x: number, y: number, width: number): void {
    const context = this.#context;
    if (width > 60) {
      const whose = `lock of ${wait.holders.join(", ") || "?"}`;
      context.fillStyle = this.#colors.back!;
      context.font = "11px system-ui, sans-serif";
      context.textBaseline = "middle";
      const room = Math.floor((Math.min(x + width, this.width) - Math.max(x, 0)) / 6);
      const words = `${whose}, ${timeWords(this.#duration(wait))}`;
      const fitting = room > words.length ? words : room > whose.length ? whose : "";
      context.fillText(fitting, Math.max(x, 0) + 5, y + barTop + barHeight / 2);
    }
    if (width < 4) return;
    for (const holder of wait.holders) {
      const at = this.#view.shownLanes.findIndex(({ connection }) => connection === holder);
      if (at < 0) continue;
      const from = axisHeight + at * laneHeight - this.box.scrollTop + laneHeight / 2;
      const to = from < y ? y + barTop : y + barTop + barHeight;
      context.strokeStyle = this.#colors.lock!;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x + 1, from);
      context.lineTo(x + 1, to);
      context.stroke();
      context.beginPath();
      context.arc(x + 1, from, 3, 0, Math.PI * 2);
      context.fillStyle = this.#colors.lock!;
      context.fill();
    }
  }

  #duration({ first, last }: { readonly first: number; readonly last: number }): number {
    return this.#view.events.time[last]! - this.#view.events.time[first]!;
  }

  #errors({ errors }: Lane, y: number, drawn: Drawn): void {
    let end = Number.NEGATIVE_INFINITY;
    for (const event of errors) {
      const x = this.x(event);
      if (x < end || x < -6 || x > this.width + 6) continue;
      end = x + 2;
      drawn.errors++;
      const context = this.#context;
      context.globalAlpha = this.#view.shown[event] === 1 ? 1 : 0.25;
      context.beginPath();
      context.moveTo(x, y + barTop - 2);
      context.lineTo(x + 7, y + barTop + 8);
      context.lineTo(x, y + barTop + 18);
      context.lineTo(x - 7, y + barTop + 8);
      context.closePath();
      context.fillStyle = this.#colors.error!;
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = this.#colors.back!;
      context.stroke();
      context.globalAlpha = 1;
    }
  }

  #chosen(lanes: readonly Lane[]): void {
    const { chosen } = this.#view;
    if (chosen === undefined) return;
    const at = lanes.findIndex(({ connection }) => connection === this.#view.number(chosen, "connection"));
    const x = this.x(chosen);
    this.#fill("text", x - 0.5, axisHeight, 1, this.height - axisHeight);
    if (at < 0) return;
    this.#context.strokeStyle = this.#colors.text!;
    this.#context.lineWidth = 1.5;
    this.#context.strokeRect(x - 4, axisHeight + at * laneHeight - this.box.scrollTop + 5, 8, laneHeight - 11);
  }

  #breaks(): void {
    let end = Number.NEGATIVE_INFINITY;
    for (const { from, to, duration } of this.#view.axis.breaks) {
      const [x, until] = [from, to].map((place) => ((place - this.from) / (this.to - this.from)) * this.width) as [
        number,
        number,
      ];
      if (until < 0 || x > this.width || until < end + 1) continue;
      end = until;
      this.#fill("panel", x, axisHeight, Math.max(until - x, 1), this.height);
      const words = timeWords(duration);
      if (until - x < words.length * 7 + 6) continue;
      this.#context.fillStyle = this.#colors.soft!;
      this.#context.font = "11px system-ui, sans-serif";
      this.#context.textBaseline = "bottom";
      this.#context.fillText(words, x + (until - x - this.#context.measureText(words).width) / 2, this.height - 3);
    }
  }

  #axis(): void {
    this.#fill("panel", 0, 0, this.width, axisHeight);
    this.#fill("line", 0, axisHeight - 1, this.width, 1);
    const perPixel = (this.to - this.from) / Math.max(this.width, 1);
    this.#context.font = "11px system-ui, sans-serif";
    this.#context.textBaseline = "middle";
    for (const { place, time } of ticksOf(this.#view.axis, this.from, this.to, perPixel * 100)) {
      const x = (place - this.from) / perPixel;
      this.#fill("soft", x, axisHeight - 6, 1, 5);
      this.#fill("soft", x + 4, axisHeight / 2, 0, 0);
      this.#context.fillText(timeWords(time, perPixel * 50), x + 3, axisHeight / 2 - 2);
    }
  }
}
