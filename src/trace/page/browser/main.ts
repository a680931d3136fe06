/**
 * The page of a trace.
 *
 * Owns: putting its parts together, the filters' fields, the keys. Does not own: the parts.
 */
import { type ShowFilter, tablePattern } from "../../show/filter.ts";
import { timeWords } from "../axis.ts";
import { axisHeight, Chart, laneHeight } from "./chart.ts";
import { element, showDetails } from "./details.ts";
import { List } from "./list.ts";
import { followPointer } from "./pointer.ts";
import { loadView, type View } from "./view.ts";

const byId = (id: string): HTMLElement => document.getElementById(id)!;
const form = byId("filters") as HTMLFormElement;
const field = (name: string): HTMLInputElement => form.elements.namedItem(name) as HTMLInputElement;

function start(view: View): void {
  const chart = new Chart(view);
  const list = new List(view, choose);
  const errors = view.lanes.flatMap((lane) => lane.errors).sort((a, b) => a - b);

  function choose(event: number): void {
    view.chosen = event;
    showDetails(byId("details"), view, event);
    list.reveal(event);
    chart.reveal(event);
  }

  function apply(): void {
    const filter = readFilter();
    if (!filter) return;
    view.filter(filter);
    showLabels(view, (connection) => {
      field("connection").value = field("connection").value === `${connection}` ? "" : `${connection}`;
      apply();
    });
    byId("count").textContent = `${view.rows.length.toLocaleString("en")} of ${view.events.count.toLocaleString("en")}`;
    list.draw();
    chart.draw();
  }

  const goTo = (step: 1 | -1, events: readonly number[]): void => {
    const now = view.chosen ?? (step === 1 ? -1 : view.events.count);
    const next = step === 1 ? events.find((each) => each > now) : events.findLast((each) => each < now);
    if (next !== undefined) choose(next);
  };

  byId("previous").onclick = () => goTo(-1, errors);
  byId("next").onclick = () => goTo(1, errors);
  byId("errors").hidden = errors.length === 0;
  byId("next").textContent = `${errorsIn(errors.length)} ›`;
  byId("in").onclick = () => chart.zoom(0.5, view.chosen);
  byId("out").onclick = () => chart.zoom(2, view.chosen);
  byId("fit").onclick = () => chart.fit();
  form.addEventListener("input", ({ target }) => {
    if (target === field("shorten")) {
      view.shorten(field("shorten").checked);
      chart.fit();
    } else apply();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () =>
    setTimeout(() => {
      view.shorten(true);
      chart.fit();
      apply();
    }),
  );
  chart.box.addEventListener("scroll", () => chart.draw());
  window.addEventListener("resize", () => {
    list.draw();
    chart.draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => chart.draw());
  followPointer(view, chart, choose);
  followKeys(view, chart, {
    row: (step) => goTo(step, view.rows),
    error: (step) => goTo(step, errors),
  });
  showHead(view, errors.length);
  apply();
  document.body.dataset.state = "ready";
}

function followKeys(view: View, chart: Chart, go: Record<"row" | "error", (step: 1 | -1) => void>): void {
  const pan = (part: number) => {
    const by = (chart.to - chart.from) * part;
    chart.show(chart.from + by, chart.to + by);
  };
  const keys: Record<string, () => void> = {
    ArrowUp: () => go.row(-1),
    ArrowDown: () => go.row(1),
    ArrowLeft: () => pan(-0.15),
    ArrowRight: () => pan(0.15),
    n: () => go.error(1),
    p: () => go.error(-1),
    "+": () => chart.zoom(0.5, view.chosen),
    "=": () => chart.zoom(0.5, view.chosen),
    "-": () => chart.zoom(2, view.chosen),
    "0": () => chart.fit(),
    "/": () => field("sql").focus(),
  };
  window.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLInputElement;
    if (isTyping && event.key === "Escape") (event.target as HTMLElement).blur();
    const act = keys[event.key];
    if (!act || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
}

function errorsIn(count: number): string {
  return `${count} ${count === 1 ? "error" : "errors"}`;
}

/** What the fields say; undefined while one of them cannot be read. */
function readFilter(): ShowFilter | undefined {
  const text = (name: string) => field(name).value.trim();
  const list = (name: string) =>
    text(name)
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean);
  const seconds = (name: string) => (text(name) === "" ? undefined : Number(text(name)) * 1e6);
  let isReadable = true;
  const check = (name: string, isFine: boolean) => {
    field(name).setCustomValidity(isFine ? "" : "cannot be read");
    isReadable &&= isFine;
  };
  let pattern: RegExp | undefined;
  try {
    pattern = text("sql") === "" ? undefined : new RegExp(text("sql"), "i");
    check("sql", true);
  } catch {
    check("sql", false);
  }
  const [connections, messages] = [list("connection").map(Number), list("message").map((name) => name.toLowerCase())];
  const [since, until] = [seconds("since"), seconds("until")];
  check("connection", connections.every(Number.isInteger));
  check("since", !Number.isNaN(since ?? 0));
  check("until", !Number.isNaN(until ?? 0));
  if (!isReadable) return undefined;
  const table = text("table") === "" ? undefined : tablePattern(text("table"));
  return {
    statements: [pattern, table].filter((each) => each !== undefined),
    ...(connections.length > 0 && { connections: new Set(connections) }),
    ...(messages.length > 0 && { messages: new Set(messages) }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
  };
}

function showHead({ data, events, lanes }: View, errors: number): void {
  const { file, began, by, versions, isPartial } = data;
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const waits = lanes.reduce((sum, lane) => sum + lane.waits.length, 0);
  document.title = file;
  byId("title").textContent = file;
  byId("about").textContent = [
    `${new Date(began).toISOString().replace("T", " ").slice(0, 19)} UTC, recorded by a ${[by, ...names].join(", ")}`,
    `${timeWords(events.time.at(-1) ?? 0)}, ${data.connections.length} connections, ${errorsIn(errors)}, ${waits} waits for a lock`,
    ...(isPartial ? ["the beginning was dropped: the trace had reached its limit"] : []),
  ].join(" · ");
}

function showLabels({ data, shownLanes }: View, choose: (connection: number) => void): void {
  const connections = new Map(data.connections.map((each) => [each.number, each]));
  const labels = shownLanes.map(({ connection, errors, pipelines }, at) => {
    const label = element("div", `${connection}`, "lane");
    const more = [`${pipelines.length} pipelines`, ...(errors.length > 0 ? [errorsIn(errors.length)] : [])];
    const counts = element("span", `  ${more.join(", ")}`, errors.length > 0 ? "bad" : "hint");
    label.append(counts, element("small", connections.get(connection)?.label ?? ""));
    label.dataset.connection = `${connection}`;
    label.title = connections.get(connection)?.label ?? "";
    label.style.top = `${axisHeight + at * laneHeight}px`;
    label.onclick = () => choose(connection);
    return label;
  });
  byId("labels").replaceChildren(byId("corner"), ...labels);
  const height = axisHeight + Math.max(shownLanes.length, 1) * laneHeight;
  byId("labels").style.height = `${height}px`;
  // The names of shortened times are below the lanes.
  byId("chart").style.height = `${height + 20}px`;
}

loadView().then(start, (error: unknown) => {
  byId("about").textContent = `This page cannot be shown: ${error}`;
});
