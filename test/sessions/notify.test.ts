/** LISTEN and NOTIFY between sessions. */
import { describeScripts } from "./support/suite.ts";

describeScripts("notify", {
  "an idle listener is told at once, another session is not": `
    A: listen news          → LISTEN
    B: notify news, 'hello' → NOTIFY
    A:                      → NOTIFY news "hello" from B
    C: select 1             → 1
    B: select 1             → 1
  `,
  "a notification waits for the commit and is sent once": `
    A: listen news          → LISTEN
    B: begin                → BEGIN
    B: notify news, 'one'   → NOTIFY
    B: notify news, 'one'   → NOTIFY
    B: notify news, 'two'   → NOTIFY
    A: select 1             → 1
    B: commit               → COMMIT
    A:                      → NOTIFY news "one" from B / NOTIFY news "two" from B
    B: begin                → BEGIN
    B: notify news, 'never' → NOTIFY
    B: rollback             → ROLLBACK
    A: select 2             → 2
  `,
  "a listener in a transaction is told when it ends": `
    A: listen news                      → LISTEN
    A: begin                            → BEGIN
    B: select pg_notify('news', 'late') → ''
    A: select 1                         → 1
    A: commit                           → COMMIT / NOTIFY news "late" from B
  `,
  "LISTEN counts from its commit, UNLISTEN ends it, and each session has its own": `
    A: begin                                        → BEGIN
    A: listen a                                     → LISTEN
    B: listen b                                     → LISTEN
    C: notify a, '1'                                → NOTIFY
    A: commit                                       → COMMIT
    C: notify a, '2'                                → NOTIFY
    A:                                              → NOTIFY a "2" from C
    C: notify b, '3'                                → NOTIFY
    B:                                              → NOTIFY b "3" from C
    A: select pg_listening_channels()               → a
    A: unlisten *                                   → UNLISTEN
    C: notify a, '4'                                → NOTIFY
    A: select count(*) from pg_listening_channels() → 0
    B: select pg_listening_channels()               → b
  `,
  "a session hears itself, and a new session hears nothing": `
    A: listen news                                  → LISTEN
    A: notify news, 'me'                            → NOTIFY / NOTIFY news "me" from A
    A! leave                                        → gone
    A! connect                                      → connected
    B: notify news, 'gone'                          → NOTIFY
    A: select count(*) from pg_listening_channels() → 0
  `,
});
