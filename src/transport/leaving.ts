/**
 * Clients that are saying good-bye when the server stops.
 *
 * Owns: the moment that they are given. Does not own: ending those that stay (the library), or what runs (the queue).
 * Invariant: a stop waits no longer than its clients take, and `limits.leaveMs` at most. Who is asked for a password or negotiates TLS is no client
 * before that is done, and is not waited for.
 */
import { PatientTimer, type SocketConnection, type SocketQueue } from "@electric-sql/pglite-socket";
import { limits } from "../limits.ts";

/** The same queue; before anything is ended at a stop, `first` has its time, and its clients may hang up by themselves. */
export function lettingLeave<Q extends SocketQueue>(queue: Q, first: () => Promise<unknown> | undefined): Q {
  const clients = new Set<SocketConnection>();
  let whenAlone = (): void => {};
  const attach: SocketQueue["attach"] = queue.attach.bind(queue);
  const detach: SocketQueue["detach"] = queue.detach.bind(queue);
  const quiesce = queue.quiesce?.bind(queue);
  queue.attach = (connection) => {
    clients.add(connection);
    return attach(connection);
  };
  queue.detach = (connection) => {
    clients.delete(connection);
    if (clients.size === 0) whenAlone();
    return detach(connection);
  };
  queue.quiesce = async () => {
    await first();
    await haveRead();
    const timer = new PatientTimer();
    await new Promise<void>((resolve) => {
      whenAlone = resolve;
      if (clients.size === 0) resolve();
      else timer.set(limits.leaveMs, resolve);
    });
    timer.clear();
    await quiesce?.();
  };
  return queue;
}

/**
 * Resolves when the thread has read what lay in the kernel: a startup packet makes a client of a connection that was none. The sockets of this turn of the
 * event loop have been asked already, those of the next one are asked before its end.
 */
async function haveRead(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
}
