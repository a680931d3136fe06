/**
 * The connection by which an exploration decides about the clients of its database.
 *
 * Owns: asking the gate, and what it tells without being asked. Does not own: what is asked (`schedule-run.ts`), the gate
 * (`transport/gate/`).
 */
import { ServerClient } from "../dev-db/server-client.ts";
import { controlsGate, type GateEvent, type GateRecord, type GateRequest, type GateStep } from "../engine/gate.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { readQueryResults } from "../wire/query-results.ts";

/** What a request is answered with. */
interface Answers {
  hold: null;
  open: null;
  release: GateStep;
  wait: Extract<GateStep, { isStale: false }>;
  deliver: null;
  aside: readonly (readonly (string | null)[])[];
  cancel: null;
  record: readonly GateRecord[];
}

/** See the head of the file. */
export class GateClient {
  /** How many arrivals it has been told of. */
  seen = 0;
  onEvent: (event: GateEvent) => void = () => {};
  readonly #client: Promise<ServerClient>;

  constructor(url: string) {
    this.#client = ServerClient.connect(url, {
      parameters: controlsGate,
      onNotification: (payload) => {
        const event: GateEvent = JSON.parse(payload);
        if ("number" in event) this.seen = event.number;
        this.onEvent(event);
      },
    });
    this.#client.catch(() => {});
  }

  /** One request after the other. Rejects with the gate's reason. */
  async ask<Kind extends GateRequest["do"]>(
    request: Extract<GateRequest, { readonly do: Kind }>,
  ): Promise<Answers[Kind]> {
    const client = await this.#client;
    const answer: Uint8Array[] = [];
    await client.execProtocolRawStream(encodeQuery(JSON.stringify(request)), {
      onRawData: (bytes) => void answer.push(bytes),
    });
    const [result] = readQueryResults(Buffer.concat(answer));
    return JSON.parse(result?.rows[0]?.[0] ?? "null");
  }

  /** Everything is let go. */
  async close(): Promise<void> {
    (await this.#client.catch(() => undefined))?.close();
  }
}
