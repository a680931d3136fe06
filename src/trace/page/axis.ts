/**
 * The axis of time of the page, on which a time when nothing goes on may be short.
 *
 * Owns: from an event to its place and back to a time, ticks. Does not own: pixels (`browser/`).
 * Invariant: places grow with time. It runs in a browser, too.
 */
import type { Lane } from "./timeline.ts";

/** A piece of the axis on which a place is a time, but for an offset. */
interface Segment {
  readonly place: number;
  readonly time: number;
  readonly length: number;
}

/** See the head of the file. */
export interface Axis {
  /** The place of each event. */
  readonly places: Float64Array;
  readonly segments: readonly Segment[];
  /** Where a time was shortened. */
  readonly breaks: readonly { readonly from: number; readonly to: number; readonly duration: number }[];
  readonly end: number;
}

/** So much of a time when nothing goes on is left, as a part of all the time when something does. */
const idlePart = 0.03;
const shortestIdle = 200;

/** The axis of events at these times; `shortens`: where no pipeline is open and nobody waits. */
export function makeAxis(time: Float64Array, lanes: readonly Lane[], shortens: boolean): Axis {
  const count = time.length;
  const places = new Float64Array(count);
  const segments: { place: number; time: number; length: number }[] = [];
  const breaks: { from: number; to: number; duration: number }[] = [];
  const busy = shortens ? busyAfter(count, lanes) : undefined;
  let busyTime = 0;
  if (busy) for (let i = 1; i < count; i++) if (busy[i - 1]! > 0) busyTime += time[i]! - time[i - 1]!;
  const idle = Math.max(shortestIdle, busyTime * idlePart);
  let place = 0;
  for (let i = 0; i < count; i++) {
    const gap = i > 0 ? time[i]! - time[i - 1]! : 0;
    const isShortened = i === 0 || (busy !== undefined && busy[i - 1] === 0 && gap > idle * 2);
    if (i > 0) {
      if (isShortened) breaks.push({ from: place, to: place + idle, duration: gap });
      place += isShortened ? idle : gap;
    }
    places[i] = place;
    if (isShortened) segments.push({ place, time: time[i]!, length: 0 });
    else segments.at(-1)!.length = place - segments.at(-1)!.place;
  }
  return { places, segments, breaks, end: Math.max(place, 1) };
}

/** How much goes on after each event: pipelines and waits. */
function busyAfter(count: number, lanes: readonly Lane[]): Int32Array {
  const changes = new Int32Array(count + 1);
  for (const { pipelines, waits } of lanes) {
    for (const { first, last } of [...pipelines, ...waits]) {
      changes[first]!++;
      changes[last]!--;
    }
  }
  for (let i = 1; i < count; i++) changes[i]! += changes[i - 1]!;
  return changes;
}

/** The time at a place. */
export function timeAt({ segments }: Axis, place: number): number {
  let [low, high] = [0, segments.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (segments[middle]!.place <= place) low = middle;
    else high = middle - 1;
  }
  const segment = segments[low];
  return segment ? segment.time + Math.min(Math.max(place - segment.place, 0), segment.length) : 0;
}

/** Places between `from` and `to` for labels, and their times; `apart`: the least distance of two. */
export function ticksOf(
  { segments }: Axis,
  from: number,
  to: number,
  apart: number,
): { place: number; time: number }[] {
  const step = niceStep(apart);
  const ticks: { place: number; time: number }[] = [];
  for (const { place, time, length } of segments) {
    if (place > to || place + length < from) continue;
    const begin = time + Math.max(from - place, 0);
    const end = time + Math.min(to - place, length);
    for (let at = Math.ceil(begin / step) * step; at <= end; at += step) {
      const where = place + at - time;
      if (ticks.length === 0 || where - ticks.at(-1)!.place >= apart * 0.8) ticks.push({ place: where, time: at });
    }
  }
  return ticks;
}

function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

/** A duration or a time in words; `precision`: the least difference that is to be seen, in microseconds. */
export function timeWords(microseconds: number, precision = microseconds / 100): string {
  const [unit, name] = microseconds >= 1e6 ? [1e6, "s"] : microseconds >= 1000 ? [1000, "ms"] : [1, "µs"];
  const digits = Math.min(6, Math.max(0, -Math.floor(Math.log10(Math.max(precision, 0.1) / unit))));
  return `${(microseconds / unit).toFixed(digits)} ${name}`;
}
