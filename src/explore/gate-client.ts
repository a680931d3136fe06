/**
 * The connection by which an exploration decides about the clients of its database.
 *
 * Owns: asking the gate, and what it tells without being asked. Does not own: what is asked (`schedule-run.ts`), the gate
 * (`transport/gate/`).
 */
import { ServerClient } from "../dev-db/server-client.ts";
import {
  controlsGate,
  type GateEvent,
  type GateHold,
  type GateRecord,
  type GateRequest,
  type GateSettings,
  type GateStep,
} from "../engine/gate.ts";
import { Type } from "../wire/frames.ts";
import { encodeQuery } from "../wire/frontend.ts";
import { DatabaseError, readDataRow, readErrorFields } from "../wire/query-results.ts";

/** What a request is answered with. */
interface Answers {
  hold: GateHold;
  open: null;
  finish: GateSettings | null;
  release: GateStep;
  wait: Extract<GateStep, { isStale: false }>;
  deliver: null;
  settings: GateSettings;
  aside: readonly (readonly (readonly (string | null)[])[])[];
  ping: null;
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
      // Its turn may come after another exploration.
      connectTimeoutMs: 0,
      onNotification: (payload) => {
        const event: GateEvent = JSON.parse(payload);
        if ("number" in event) this.seen = event.number;
        this.onEvent(event);
      },
    });
    this.#client.catch(() => {});
  }

  /** One request after the other. Rejects with the gate's reason. `atOnce` gets the answer before any event that came behind it. */
  async ask<Kind extends GateRequest["do"]>(
    request: Extract<GateRequest, { readonly do: Kind }>,
    atOnce?: (answer: Answers[Kind]) => void,
  ): Promise<Answers[Kind]> {
    const client = await this.#client;
    let answer: Answers[Kind] | undefined;
    let failure: DatabaseError | undefined;
    await client.execProtocolRawStream(encodeQuery(JSON.stringify(request)), {
      onRawData: (bytes) => {
        const type = bytes[0];
        if (type === Type.ErrorResponse) failure = new DatabaseError(readErrorFields(bytes.subarray(5)));
        if (type !== Type.DataRow) return;
        answer = JSON.parse(readDataRow(Buffer.from(bytes.subarray(5)))[0] ?? "null") as Answers[Kind];
        atOnce?.(answer);
      },
    });
    if (failure) throw failure;
    return answer as Answers[Kind];
  }

  /** Everything is let go. */
  async close(): Promise<void> {
    (await this.#client.catch(() => undefined))?.close();
  }
}
