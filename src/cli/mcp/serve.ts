/**
 * The Model Context Protocol over stdin and stdout.
 *
 * Owns: its messages, by the official SDK, which is loaded with this file and by nothing else. Does not own: the tools (`tools.ts`), who else
 * writes (`stdout.ts`).
 * Invariant: no error of a tool ends it.
 */
import { Transform, type Writable } from "node:stream";
import { boundedText } from "../../dev-db/agent/bounded-answer.ts";
import { ExitCode } from "../../errors.ts";
import { DatabaseError } from "../../wire/query-results.ts";
import { CallToolRequestSchema, ListToolsRequestSchema, Server, StdioServerTransport } from "./sdk.ts";
import { answerOf, type Tool } from "./tools.ts";

/** What a client is told about the server. */
interface Told {
  readonly version: string;
  readonly instructions: string;
  readonly tools: Readonly<Record<string, Tool>>;
}

const megabyte = 1024 ** 2;
/** The longest request: a file that an agent inserts. */
const requestLimitMb = 64;

/** The conversation cannot go on. */
class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly exitCode = ExitCode.failure;
}

/** Serves the tools on stdin and `output` until `signal` is aborted or the client has closed stdin. Rejects with a `ProtocolError`. */
export async function serveTools(
  { version, instructions, tools }: Told,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const server = new Server({ name: "pglite-devdb", version }, { capabilities: { tools: {} }, instructions });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.entries(tools).map(([name, { description, properties, required, changes }]) => ({
      name,
      description,
      inputSchema: {
        type: "object" as const,
        properties: { ...properties },
        required: [...required],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: !changes, destructiveHint: changes, openWorldHint: false },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: given = {} } }) => {
    try {
      const tool = Object.hasOwn(tools, name) ? tools[name] : undefined;
      if (!tool) throw new Error(`there is no tool ${JSON.stringify(name)}: ${Object.keys(tools).join(", ")}`);
      return { content: [{ type: "text", text: await answerOf(tool, given) }] };
    } catch (error) {
      return { content: [{ type: "text", text: boundedText(errorText(error)) }], isError: true };
    }
  });
  const over = new Promise<void>((resolve) => {
    for (const event of ["end", "close", "error"]) process.stdin.once(event, () => resolve());
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const lines = new WholeLines();
  const closed = new Promise<Error>((resolve) => void lines.once("error", resolve));
  await server.connect(
    new StdioServerTransport(process.stdin.pipe(lines), output, { maxBufferSize: 2 * requestLimitMb * megabyte }),
  );
  const end = await Promise.race([over, closed]);
  if (end) throw end;
  await server.close();
}

/** Collects what comes in parts: the SDK would copy all of a request for each part. */
class WholeLines extends Transform {
  #parts: Buffer[] = [];
  #bytes = 0;

  override _transform(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const end = chunk.lastIndexOf("\n") + 1;
    if (end > 0) {
      this.push(Buffer.concat([...this.#parts, chunk.subarray(0, end)]));
      this.#parts = [];
      this.#bytes = 0;
    }
    this.#parts.push(chunk.subarray(end));
    this.#bytes += chunk.length - end;
    done(
      this.#bytes > requestLimitMb * megabyte
        ? new ProtocolError(`mcp: a request is longer than ${requestLimitMb} MiB`)
        : undefined,
    );
  }
}

/** With all that PostgreSQL says about it. */
function errorText(error: unknown): string {
  if (!(error instanceof DatabaseError)) return (error as Error).message;
  const { fields } = error;
  const more = [
    ["detail", "D"],
    ["hint", "H"],
    ["at character", "P"],
    ["where", "W"],
  ].flatMap(([what, field]) => (fields.has(field!) ? `\n${what}: ${fields.get(field!)}` : []));
  return `${error.code}: ${error.message}${more.join("")}`;
}
