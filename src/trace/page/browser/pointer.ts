/**
 * The mouse on the lanes: what is under it, moving and zooming.
 *
 * Owns: from a point to an event. Does not own: what follows from a choice (`main.ts`).
 */
import { timeWords } from "../axis.ts";
import type { Lane } from "../timeline.ts";
import { axisHeight, type Chart, laneHeight } from "./chart.ts";
import type { View } from "./view.ts";

const [near, least] = [8, 4];

/** The event that a point means: an error that is near, a wait, a message, or the first one of a bar. */
function eventAt(view: View, chart: Chart, x: number, y: number): number | undefined {
  if (y < axisHeight) return undefined;
  const lane = view.shownLanes[Math.floor((y - axisHeight + chart.box.scrollTop) / laneHeight)];
  if (!lane) return undefined;
  const error = nearest(chart, lane.errors, x, near);
  if (error !== undefined) return error;
  const has = ({ first, last }: { first: number; last: number }) => chart.x(first) - 1 <= x && x <= chart.x(last) + 1;
  const wait = lane.waits.findLast(has);
  if (wait) return wait.first;
  const pipeline = lane.pipelines.findLast(has);
  if (pipeline && chart.x(pipeline.last) - chart.x(pipeline.first) < near) return pipeline.first;
  const message = nearest(chart, lane.events, x, least);
  return message ?? pipeline?.first ?? lane.transactions.findLast(has)?.first;
}

function nearest(chart: Chart, events: Lane["events"], x: number, reach: number): number | undefined {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (chart.x(events[middle]!) < x) low = middle + 1;
    else high = middle;
  }
  const found = [events[low - 1], events[low]].filter((event) => event !== undefined);
  found.sort((a, b) => Math.abs(chart.x(a) - x) - Math.abs(chart.x(b) - x));
  return found[0] !== undefined && Math.abs(chart.x(found[0]) - x) <= reach ? found[0] : undefined;
}

/** Listens to the mouse. */
export function followPointer(view: View, chart: Chart, choose: (event: number) => void): void {
  const { canvas, box } = chart;
  let held: { readonly x: number; readonly y: number; from: number; to: number; top: number } | undefined;
  let isMoved = false;
  canvas.addEventListener("pointerdown", ({ offsetX, offsetY, pointerId }) => {
    held = { x: offsetX, y: offsetY, from: chart.from, to: chart.to, top: box.scrollTop };
    isMoved = false;
    canvas.setPointerCapture(pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) {
      showTip(view, event, eventAt(view, chart, event.offsetX, event.offsetY));
      return;
    }
    const [dx, dy] = [event.offsetX - held.x, event.offsetY - held.y];
    if (Math.abs(dx) + Math.abs(dy) > 3) isMoved = true;
    if (!isMoved) return;
    const by = (dx / chart.width) * (held.to - held.from);
    box.scrollTop = held.top - dy;
    chart.show(held.from - by, held.to - by);
  });
  canvas.addEventListener("pointerup", ({ offsetX, offsetY }) => {
    const found = isMoved ? undefined : eventAt(view, chart, offsetX, offsetY);
    held = undefined;
    if (found !== undefined) choose(found);
  });
  canvas.addEventListener("pointerleave", (event) => showTip(view, event, undefined));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const by = ((event.shiftKey ? event.deltaY : event.deltaX) / chart.width) * (chart.to - chart.from);
      if (by !== 0) chart.show(chart.from + by, chart.to + by);
      else chart.zoomAt(1.0015 ** event.deltaY, chart.place(event.offsetX));
    },
    { passive: false },
  );
}

function showTip(view: View, { clientX, clientY }: MouseEvent, event: number | undefined): void {
  const tip = document.getElementById("tip")!;
  tip.hidden = event === undefined;
  if (event === undefined) return;
  const pipeline = view.pipeline(event);
  const { time } = view.events;
  const lines = [`${view.name(event)} ${view.words(event)}`.trim().slice(0, 300)];
  const statement = pipeline && view.pipelineStatement(pipeline);
  if (statement !== undefined && !lines[0]!.includes(statement.slice(0, 100))) lines.push(statement.slice(0, 300));
  if (pipeline) lines.push(timeWords(time[pipeline.last]! - time[pipeline.first]!));
  tip.textContent = lines.join("\n");
  const isLeft = clientX > window.innerWidth / 2;
  tip.style.left = isLeft ? "" : `${clientX + 14}px`;
  tip.style.right = isLeft ? `${window.innerWidth - clientX + 14}px` : "";
  tip.style.top = `${clientY + 16}px`;
}
