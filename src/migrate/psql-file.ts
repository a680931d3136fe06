/**
 * SQL that was written for psql, as pg_dump writes it: `COPY … FROM stdin` with its data, `\restrict` and `\unrestrict`.
 *
 * Owns: cutting it into what is sent as one Query each. Does not own: psql's other commands (`refuse-unsupported.ts`).
 * Invariant: pure; what is left out is the two commands, which say nothing to the server, and the lines `\.`.
 */
import { pastBlanks } from "../sql/tokens.ts";
import { nextStatement, type SqlChunk, type SqlStatement } from "./split-statements.ts";

const restriction = /\\(un)?restrict\b[^\n\r]*/y;
const endOfData = /^\\\.\r?$/m;

/** Whether a file may be of that kind. */
export function isForPsql(text: string): boolean {
  return /^\\(un)?restrict\b/m.test(text) || /^\s*copy\b[^;]*\bfrom\s+stdin\b/im.test(text);
}

/** Whether a statement has its data from the client. */
export function copiesFromStdin({ words }: SqlStatement): boolean {
  return words[0] === "copy" && words.some((word, i) => word === "stdin" && words[i - 1] === "from");
}

/** The chunks: those between two COPYs, and each COPY with its data. */
export function psqlChunks(text: string): SqlChunk[] {
  const chunks: SqlChunk[] = [];
  let open: SqlStatement[] = [];
  const close = () => {
    const [first, last] = [open[0], open.at(-1)];
    if (first && last) chunks.push(chunkOf(text, first.start, last.end, open));
    open = [];
  };
  for (let at = pastBlanks(text, 0); at < text.length; at = pastBlanks(text, at)) {
    restriction.lastIndex = at;
    if (restriction.test(text)) {
      close();
      at = restriction.lastIndex;
      continue;
    }
    const next = nextStatement(text, at);
    if (!next) break;
    at = next.past;
    if (!copiesFromStdin(next.statement)) open.push(next.statement);
    else {
      close();
      const data = dataBehind(text, at);
      chunks.push({
        ...chunkOf(text, next.statement.start, next.statement.end, [next.statement]),
        copyData: data.text,
      });
      at = data.past;
    }
  }
  close();
  return chunks;
}

function chunkOf(text: string, start: number, end: number, statements: readonly SqlStatement[]): SqlChunk {
  return {
    text: text.slice(start, end),
    offset: start,
    statements: statements.map(({ words, backslashAt, ...at }) => ({
      words,
      start: at.start - start,
      end: at.end - start,
      backslashAt: backslashAt === undefined ? undefined : backslashAt - start,
    })),
  };
}

/** The lines from the next one to the one with `\.`, or to the end. */
function dataBehind(text: string, from: number): { text: string; past: number } {
  const line = text.indexOf("\n", from);
  if (line < 0) return { text: "", past: text.length };
  const rest = text.slice(line + 1);
  const end = endOfData.exec(rest);
  return end
    ? { text: rest.slice(0, end.index), past: line + 1 + end.index + end[0].length }
    : { text: rest, past: text.length };
}
