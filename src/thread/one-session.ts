/**
 * One session for all clients, as they are served.
 *
 * Owns: booting it with its watchdog. Does not own: the session (`engine/thread/shared-session.ts`), whose run is next
 * (`transport/shared-door.ts`).
 */
import type { ListenOptions } from "../engine/listener.ts";
import type { ThreadOptions } from "../engine/thread/protocol.ts";
import { bootShared } from "../engine/thread/shared.ts";
import type { SharedSession } from "../engine/thread/shared-session.ts";
import type { Recorder } from "../trace/record/recorder.ts";
import type { Behind } from "../transport/serve.ts";
import { openSharedDoor } from "../transport/shared-door.ts";
import type { Served } from "./served.ts";
import type { Watch } from "./turn-watch.ts";

/** The number of the process itself among listeners. */
const noListener = 0;

/** Boots it. */
export async function openOneSession(
  options: ThreadOptions,
  extensions: Parameters<typeof bootShared>[1],
  post: Parameters<typeof bootShared>[2],
  watch: Watch,
): Promise<Served> {
  const { session, memory, interrupts } = await bootShared(options, extensions, post);
  watch({ memory, interrupts });
  return new OneSession(session);
}

class OneSession implements Served {
  readonly crash: Promise<unknown>;
  readonly #session: SharedSession;

  constructor(session: SharedSession) {
    this.#session = session;
    this.crash = session.crash;
  }

  crashed(error: unknown): void {
    this.#session.crashed(error);
  }

  async run(messages: Uint8Array): Promise<Uint8Array> {
    const answer: Uint8Array[] = [];
    this.#session.run(noListener, messages, { onRawData: (bytes) => void answer.push(bytes.slice()) });
    return Buffer.concat(answer);
  }

  logIn(): Promise<void> {
    return Promise.reject(new Error("the one session is that of postgres"));
  }

  async endOwn(): Promise<void> {}

  behind(listener: number, options: ListenOptions, recorder?: Recorder): Behind {
    return openSharedDoor(this.#session, listener, options, recorder && ((id) => recorder.decided(id, "turn")));
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
