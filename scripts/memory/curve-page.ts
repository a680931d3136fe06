/**
 * The page `docs/memory.md` and its picture, from the figures of `curve.ts`.
 *
 * Owns: their form. Invariant: what the figures depend on (date, versions, machine, load) is on the page.
 */
import type { Surroundings } from "../bench/machine.ts";
import type { CurvePoint } from "./curve.ts";

type Curves = ReadonlyMap<string, readonly CurvePoint[]>;

const colours = ["#1f6feb", "#d1570a"];
const size = { width: 800, height: 320, left: 60, bottom: 30, top: 20, right: 20 };

/** The page in Markdown; `picture` is the name of the file beside it. */
export function curvePage(curves: Curves, surroundings: Surroundings, picture: string): string {
  const { date, node, pglite, cpu, cores, os, loadBefore } = surroundings;
  const tables = [...curves].map(([sessions, points]) => {
    const rows = points.map(
      ({ after, residentMb, walMb, dataMb }) => `| ${after} | ${Math.round(residentMb)} | ${walMb} | ${dataMb} |`,
    );
    const head = ["| after | process | WAL | database |", "| --- | ---: | ---: | ---: |"];
    return [`## ${sessions} sessions`, "", ...head, ...rows].join("\n");
  });
  return `${[
    "# The memory of a server whose database is in memory",
    "Written by `npm run memory -- --curve`; not by hand. In MB: the process's resident size, the files of the WAL, and " +
      "`pg_database_size` of the database. A million rows are inserted, with a truncate after each quarter; then databases are made and dropped, one after the other.",
    `${date}, Node ${node}, PGlite ${pglite}, ${cpu} (${cores} cores), ${os}, load ${loadBefore.toFixed(1)}.`,
    `![resident size after each step](${picture})`,
    ...tables,
  ].join("\n\n")}\n`;
}

/** The resident sizes as lines. */
export function curvePicture(curves: Curves): string {
  const { width, height, left, bottom, top, right } = size;
  const most = Math.max(...[...curves.values()].flat().map(({ residentMb }) => residentMb));
  const scale = Math.ceil(most / 100) * 100;
  const y = (mb: number) => (height - bottom - (mb / scale) * (height - bottom - top)).toFixed(1);
  const lines = [...curves].flatMap(([sessions, points], at) => {
    const x = (n: number) => (left + (n / Math.max(1, points.length - 1)) * (width - left - right)).toFixed(1);
    const path = points.map(({ residentMb }, n) => `${x(n)},${y(residentMb)}`).join(" ");
    const colour = colours[at % colours.length];
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${path}"/>`,
      `<text x="${left + 10 + at * 160}" y="${top}" fill="${colour}">${sessions} sessions</text>`,
    ];
  });
  const grid = Array.from({ length: scale / 100 + 1 }, (_, n) => n * 100).flatMap((mb) => [
    `<line x1="${left}" x2="${width - right}" y1="${y(mb)}" y2="${y(mb)}" stroke="#ddd"/>`,
    `<text x="${left - 8}" y="${Number(y(mb)) + 4}" text-anchor="end" fill="#666">${mb} MB</text>`,
  ]);
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`;
  const title = "<title>Resident size of a server whose database is in memory</title>";
  const note = `<text x="${left}" y="${height - 8}" fill="#666">from the start, over a million rows with four truncates, to the last database dropped</text>`;
  return `${[head, title, `<rect width="${width}" height="${height}" fill="#fff"/>`, ...grid, ...lines, note, "</svg>"].join("\n")}\n`;
}
