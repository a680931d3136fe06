/**
 * Ways to begin a connection.
 *
 * Owns: startup packets, right and wrong. Does not own: what is said after a login.
 * Invariant: `loginTalk` gets in; `oddLoginTalk` may be refused, and then says nothing more.
 */
import type { Random } from "../../../src/trace/storm/random.ts";
import { type Frame, frame, type Step, startup, step } from "../frame.ts";

const user = { user: "postgres", database: "postgres" };

/** The plain startup packet of protocol 3.0. */
export const plainLogin: Step = step("ZE", startup(user));

/** A login as common drivers do it. */
export function loginTalk(random: Random): Step[] {
  switch (random.below(6)) {
    case 0:
      return [step("ZE", startup({ ...user, application_name: "fuzz", client_encoding: "UTF8" }, 3, 2))];
    case 1:
      return [step("byte", "SSLRequest"), plainLogin];
    case 2:
      return [step("byte", "GSSENCRequest"), step("byte", "SSLRequest"), plainLogin];
    case 3:
      return [step("ZE", startup({ ...user, options: "-c search_path=public -c extra_float_digits=1" }))];
    case 4:
      return [step("ZE", startup({ ...user, DateStyle: "ISO", TimeZone: "UTC", application_name: "fuzz" }))];
    default:
      return [plainLogin];
  }
}

const oddPackets: readonly (() => Frame[])[] = [
  () => [startup(user, 3, 9), frame('Query "select 1"')],
  () => [startup({ ...user, "_pq_.strange": "1" }, 3, 2)],
  () => [startup(user, 2, 0)],
  () => [startup(user, 4, 0)],
  () => [startup(user, 3, 2 ** 16 - 1)],
  () => [startup({ user: "postgres", database: "nowhere" })],
  () => [startup({ user: "nobody", database: "postgres" })],
  () => [startup({ database: "postgres" })],
  () => [startup({})],
  () => [startup({ ...user, replication: "database" })],
  () => [startup({ ...user, options: "-c statement_timeout=1 -c work_mem=-7 --x" })],
  () => [startup({ ...user, application_name: "x".repeat(9_000) })],
  () => [startup({ ...user, ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`p${i}`, "v"])) })],
  () => [startup({ ...user, TimeZone: "Mars/Olympus", client_encoding: "KLINGON" })],
  () => [frame("SSLRequest"), frame("SSLRequest"), frame("SSLRequest")],
  () => [frame("GSSENCRequest"), frame("GSSENCRequest"), startup(user)],
  () => [frame("SSLRequest"), startup(user), frame('Query "select 1"')],
  () => [startup(user), startup(user)],
  () => [startup(user), frame('p "password"'), frame('Query "select 1"')],
  () => [frame("CancelRequest 1 00000000"), startup(user)],
  () => [frame("CancelRequest 1 00")],
  () => [frame(`CancelRequest 1 ${"ab".repeat(300)}`)],
  () => [frame('Query "select 1"')],
  () => [frame("Bytes hex 00000000"), startup(user)],
  () => [frame("Bytes hex 00000004")],
  () => [frame("Bytes hex 7fffffff00030000")],
  () => [frame("Bytes hex ffffffff00030000")],
  () => [frame("Bytes hex 0000000900030000ff")],
  () => [frame("Bytes hex 1603010200010001fc0303")],
  () => [frame('Bytes "GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"')],
];

/** A beginning that no common driver makes. */
export function oddLoginTalk(random: Random): Step[] {
  const frames = random.pick(oddPackets)();
  // Together: what comes behind a packet is in the same segment; apart: the server has answered the one before.
  return random.oneIn(2) ? [step("ZE", ...frames)] : frames.map((one) => step("ZE", one));
}
