/**
 * The states in which a connection can be when its client goes.
 *
 * Owns: the shortest way into each of them. Does not own: how the client goes.
 * Mirrors "Message Flow" in the PostgreSQL manual (protocol-flow).
 */
import { ask, frame, query, type Step, startup, step } from "../frame.ts";
import { plainLogin } from "./login.ts";

/** A state, and what a second client does first where it takes two. */
interface ProtocolState {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly partner?: readonly Step[];
}

const login = (...steps: readonly Step[]): Step[] => [plainLogin, ...steps];
const parse = 'Parse "" "select generate_series(1, 9)"';
const bind = 'Bind "" ""';
const copy = query("copy t from stdin");
const failing = 'Parse "" "selec"';

/** All states. */
export const protocolStates: readonly ProtocolState[] = [
  { name: "connected, nothing said", steps: [] },
  { name: "half a startup packet", steps: [step("", "Bytes hex 00000054000300007573657200")] },
  { name: "SSLRequest, answer not awaited", steps: [step("", "SSLRequest")] },
  { name: "SSLRequest answered", steps: [step("byte", "SSLRequest")] },
  { name: "startup packet, answer not awaited", steps: [step("", startup({ user: "postgres" }))] },
  { name: "logged in", steps: login() },
  { name: "one byte of a message", steps: login(step("", "Bytes hex 51")) },
  { name: "the head of a message", steps: login(step("", "Bytes hex 5100000020")) },
  { name: "Query, answer not awaited", steps: login(step("", query("select pg_sleep(0.03)"))) },
  {
    name: "many Queries, no answer awaited",
    steps: login(step("", ...Array.from({ length: 40 }, () => query("select 1")))),
  },
  { name: "Parse", steps: login(step("", parse)) },
  { name: "Parse, flushed", steps: login(step("1E", parse, "Flush")) },
  { name: "Bind", steps: login(step("2E", parse, bind, "Flush")) },
  { name: "Describe", steps: login(step("TE", parse, bind, 'Describe P ""', "Flush")) },
  { name: "Execute without Sync", steps: login(step("CE", parse, bind, 'Execute "" 0', "Flush")) },
  {
    name: "INSERT without Sync",
    steps: login(step("CE", 'Parse "" "insert into t values (77)"', bind, 'Execute "" 0', "Flush")),
  },
  { name: "portal suspended", steps: login(step("sE", parse, bind, 'Execute "" 2', "Flush")) },
  {
    name: "portal suspended in a transaction",
    steps: login(ask("begin"), step("Z", parse, bind, 'Execute "" 2', "Sync")),
  },
  { name: "pipeline in error", steps: login(step("E", failing, "Flush")) },
  { name: "pipeline in error, more sent", steps: login(step("E", failing, bind, 'Execute "" 0', "Flush")) },
  { name: "transaction", steps: login(ask("begin"), ask("insert into t values (1)")) },
  { name: "failed transaction", steps: login(ask("begin"), ask("select 1/0")) },
  { name: "failed transaction, Parse behind it", steps: login(ask("begin"), ask("selec"), step("E", parse, "Flush")) },
  { name: "savepoint", steps: login(ask("begin"), ask("savepoint a"), ask("select 1/0"), ask("rollback to a")) },
  { name: "lock on a table", steps: login(ask("begin"), ask("lock table t")) },
  { name: "COPY IN", steps: login(step("GE", copy)) },
  { name: "COPY IN with data", steps: login(step("GE", copy), step("", 'CopyData "1\\n2\\n"')) },
  { name: "COPY IN in the middle of CopyData", steps: login(step("GE", copy), step("", "Bytes hex 640000ffff310a")) },
  { name: "COPY IN with CopyDone", steps: login(step("GE", copy), step("", 'CopyData "1\\n"', "CopyDone")) },
  { name: "COPY IN in a transaction", steps: login(ask("begin"), step("GE", copy), step("", 'CopyData "1\\n"')) },
  {
    name: "COPY IN after an error in its data",
    steps: login(step("GE", copy), step("", 'CopyData "x\\n"', 'CopyData "1\\n"')),
  },
  {
    name: "COPY IN in a pipeline",
    steps: login(
      step("GE", 'Parse "" "copy t from stdin"', bind, 'Execute "" 0', "Flush"),
      step("", 'CopyData "1\\n"'),
    ),
  },
  { name: "COPY OUT, being read", steps: login(step("H", query("copy (select generate_series(1, 90000)) to stdout"))) },
  { name: "a large result, being read", steps: login(step("T", query("select generate_series(1, 90000)"))) },
  { name: "LISTEN", steps: login(ask("listen x"), ask("notify x")) },
  { name: "cursor WITH HOLD", steps: login(ask("declare c cursor with hold for select 1")) },
  { name: "temporary table", steps: login(ask("create temp table tt(n int)"), ask("insert into tt values (1)")) },
  { name: "advisory lock", steps: login(ask("select pg_advisory_lock(5)")) },
  { name: "timeouts set", steps: login(ask("set statement_timeout to 3"), ask("set idle_session_timeout to 5")) },
  {
    name: "idle in transaction timeout set",
    steps: login(ask("set idle_in_transaction_session_timeout to 5"), ask("begin")),
  },
  {
    name: "prepared statement",
    steps: login(ask("prepare p as select 1"), step("Z", 'Parse "s1" "select 1"', "Sync")),
  },
  {
    name: "waiting for a row lock",
    partner: login(ask("begin"), ask("lock table t")),
    steps: login(step("", query("insert into t values (1)"))),
  },
  {
    name: "waiting for an advisory lock",
    partner: login(ask("begin"), ask("select pg_advisory_xact_lock(6)")),
    steps: login(step("", query("select pg_advisory_lock(6)"))),
  },
  {
    name: "waiting behind another pipeline",
    partner: login(step("CE", parse, bind, 'Execute "" 0', "Flush")),
    steps: login(step("", query("select 1"))),
  },
  { name: "Terminate sent", steps: login(step("", frame("Terminate"))) },
  { name: "Terminate behind a Query", steps: login(step("", query("select pg_sleep(0.02)"), "Terminate")) },
];
