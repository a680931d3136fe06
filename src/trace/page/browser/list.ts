/**
 * The messages as rows, as `trace show` has them.
 *
 * Owns: which rows are in the document: those that can be seen. Does not own: which messages fit the filter (`view.ts`).
 */
import { element } from "./details.ts";
import type { View } from "./view.ts";

const rowHeight = 20;
const longestRow = 400;

/** See the head of the file. */
export class List {
  readonly #view: View;
  readonly #box: HTMLElement;
  readonly #rows: HTMLElement;

  constructor(view: View, choose: (event: number) => void) {
    this.#view = view;
    this.#box = document.getElementById("list")!;
    this.#rows = document.getElementById("rows")!;
    this.#box.addEventListener("scroll", () => this.draw());
    this.#rows.addEventListener("click", (event) => {
      const row = (event.target as HTMLElement).closest<HTMLElement>(".row");
      if (row) choose(Number(row.dataset.event));
    });
  }

  draw(): void {
    const { rows } = this.#view;
    this.#rows.style.height = `${rows.length * rowHeight}px`;
    const from = Math.max(0, Math.floor(this.#box.scrollTop / rowHeight) - 5);
    const to = Math.min(rows.length, from + Math.ceil(this.#box.clientHeight / rowHeight) + 10);
    this.#rows.replaceChildren(...rows.slice(from, to).map((event, at) => this.#row(event, from + at)));
  }

  /** Brings an event, or the next one that is shown, into sight. */
  reveal(event: number): void {
    const top = this.position(event) * rowHeight;
    const { scrollTop, clientHeight } = this.#box;
    if (top < scrollTop || top + rowHeight > scrollTop + clientHeight) this.#box.scrollTop = top - clientHeight / 2;
    this.draw();
  }

  /** The row of an event, or of the next one that is shown. */
  position(event: number): number {
    const { rows } = this.#view;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle]! < event) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #row(i: number, at: number): HTMLElement {
    const view = this.#view;
    const name = view.name(i);
    const isFrontend = view.number(i, "isFrontend") === 1;
    const kinds = { ErrorResponse: "error", NoticeResponse: "notice", ReadyForQuery: "quiet" } as Record<
      string,
      string
    >;
    const kind = view.kind(i) === "message" ? (isFrontend ? "client" : (kinds[name] ?? "")) : "decision";
    const row = element("div", "", `row ${kind}${view.chosen === i ? " chosen" : ""}`);
    row.dataset.event = `${i}`;
    row.style.top = `${at * rowHeight}px`;
    const isFirst = view.number(i, "isFirst") === 1;
    const arrow = name === "" ? " " : isFrontend ? (isFirst ? "→" : "⇉") : isFirst ? "←" : "⇇";
    const connection = view.number(i, "connection");
    row.append(
      element("span", `${(view.events.time[i]! / 1e6).toFixed(6).padStart(11)} `, "time"),
      element("span", `${connection === 0 ? "" : connection}`.padStart(4)),
      element("span", ` ${arrow} `),
      element("b", name),
      element("span", ` ${view.words(i).slice(0, longestRow)}`, "words"),
    );
    return row;
  }
}
