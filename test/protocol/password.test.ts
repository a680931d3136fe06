/** A login with a password, at the level of messages: what is offered, refused, cut, delayed and left behind. */
import type { PGlite } from "@electric-sql/pglite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { keepSecret } from "../../src/transport/authenticate.ts";
import { createLogin } from "../../src/transport/login.ts";
import { encodeSaslInitialResponse, encodeSaslResponse, mechanism } from "../../src/wire/authentication.ts";
import { encodeMessage } from "../../src/wire/frontend.ts";
import type { ScramSecret } from "../../src/wire/scram.ts";
import { ScramClient } from "../../src/wire/scram-client.ts";
import { ask } from "../support/answer.ts";
import { createEngine } from "../support/engines.ts";
import { authentication, logInWith, startupOf } from "../support/scram-conversation.ts";
import { startServer, type TestServer, type TestServerOptions } from "../support/servers.ts";
import { waitUntil } from "../support/wait-until.ts";
import { errorFields, message, types, WireClient } from "../support/wire-client.ts";

const password = "correct horse";
let engine: PGlite;
let secret: ScramSecret;
let server: TestServer;
const clients: WireClient[] = [];

beforeAll(async () => {
  engine = await createEngine();
  secret = await keepSecret(password);
});
beforeEach(() => serve());
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await server.stop();
});
afterAll(() => engine.close());

async function serve(options: TestServerOptions = {}): Promise<void> {
  await server?.stop();
  server = await startServer("ours", {
    db: engine,
    login: createLogin({ databases: ["postgres"], secret }),
    ...options,
  });
}

async function connected(): Promise<WireClient> {
  const client = await WireClient.connect(server);
  clients.push(client);
  return client;
}

/** A client whose startup packet was answered with AuthenticationSASL. */
async function asked(user?: string): Promise<WireClient> {
  const client = await connected();
  client.send(startupOf(user));
  expect(authentication(await client.next()).request).toBe(10);
  return client;
}

async function refusalOf(client: WireClient): Promise<string> {
  const fields = errorFields(await client.untilEnd());
  return [fields?.get("S"), fields?.get("C"), fields?.get("M")].join(" | ");
}

async function expectNothingLeft(): Promise<void> {
  await waitUntil("its place is free", () => server.server.getStats().activeConnections === 0);
  const next = await connected();
  await logInWith(next, password);
  await next.until("Z");
  expect(await ask(next, [message.query("select 1")])).toBe("1");
}

describe("the right password", () => {
  test("gets AuthenticationSASLFinal, AuthenticationOk and the session", async () => {
    const client = await asked();
    const scram = new ScramClient(password);
    client.send(encodeSaslInitialResponse(mechanism.plain, scram.first));
    const challenge = authentication(await client.next());
    expect(challenge).toMatchObject({ request: 11, data: expect.stringMatching(/,i=4096$/) });
    client.send(encodeSaslResponse(scram.final(challenge.data)));
    const final = authentication(await client.next());
    expect(final.request).toBe(12);
    scram.check(final.data);
    expect(types(await client.until("Z"))).toMatch(/^RS+KZ$/);
    expect(await ask(client, [message.query("select 1")])).toBe("1");
  });

  test("is taken from any user name, and from many at the same time", async () => {
    const users = ["postgres", "app", "someone else", "ünser"];
    for (const user of users) {
      const client = await connected();
      await logInWith(client, password, user);
      await client.until("Z");
    }
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await connected();
        await logInWith(client, password);
        await client.until("Z");
      }),
    );
  });

  test("is taken when every byte comes alone, also with a query right behind it", async () => {
    const client = await connected();
    const scram = new ScramClient(password);
    const send = async (bytes: Buffer) => {
      for (const byte of bytes) {
        await new Promise<void>((sent) => client.socket.write(Buffer.from([byte]), () => setImmediate(sent)));
      }
    };
    await send(startupOf());
    await client.next();
    await send(encodeSaslInitialResponse(mechanism.plain, scram.first));
    const final = encodeSaslResponse(scram.final(authentication(await client.next()).data));
    await send(Buffer.concat([final, message.query("select 7")]));
    expect(types(await client.until("Z", 2))).toMatch(/^RRS+KZTDCZ$/);
  });

  test("is taken from a client that waits for an empty challenge first", async () => {
    const client = await asked();
    const scram = new ScramClient(password);
    client.send(encodeMessage("p", mechanism.plain, Buffer.from([255, 255, 255, 255])));
    expect(authentication(await client.next())).toEqual({ request: 11, data: "" });
    client.send(encodeSaslResponse(scram.first));
    client.send(encodeSaslResponse(scram.final(authentication(await client.next()).data)));
    await client.until("Z");
  });
});

describe("what is offered", () => {
  test("without TLS only SCRAM-SHA-256", async () => {
    const client = await connected();
    client.send(startupOf());
    expect(authentication(await client.next())).toEqual({ request: 10, data: "SCRAM-SHA-256\0\0" });
  });

  test("every exchange has a nonce of its own, every user the same salt and count", async () => {
    const challenges = [];
    for (const user of ["postgres", "postgres", "nobody"]) {
      const client = await asked(user);
      client.send(encodeSaslInitialResponse(mechanism.plain, "n,,n=,r=abc"));
      challenges.push(authentication(await client.next()).data);
    }
    const nonces = challenges.map((challenge) => /^r=abc([^,]+),/.exec(challenge)?.[1]);
    expect(new Set(nonces).size).toBe(3);
    expect(nonces.every((nonce) => nonce?.length === 24)).toBe(true);
    expect(new Set(challenges.map((challenge) => challenge.slice(challenge.indexOf(",")))).size).toBe(1);
  });
});

describe("a wrong password", () => {
  test.each(["postgres", "nobody"])(
    "of %s is FATAL 28P01 with the name, and changes nothing for the next",
    async (user) => {
      for (const wrong of ["wrong", `${password} `, "", "x".repeat(500)]) {
        const client = await connected();
        await logInWith(client, wrong, user);
        expect(await refusalOf(client)).toMatch(new RegExp(`^FATAL \\| 28P01 \\| .*"${user}"$`));
      }
      await expectNothingLeft();
    },
  );

  test("learns nothing about databases; the right one does", async () => {
    const outcome = async (attempt: string) => {
      const client = await connected();
      const scram = new ScramClient(attempt);
      client.send(startupOf("postgres", "elsewhere"));
      await client.next();
      client.send(encodeSaslInitialResponse(mechanism.plain, scram.first));
      client.send(encodeSaslResponse(scram.final(authentication(await client.next()).data)));
      return errorFields(await client.untilEnd())?.get("C");
    };
    expect([await outcome("wrong"), await outcome(password)]).toEqual(["28P01", "3D000"]);
  });
});

describe("what breaks the rules is refused, and leaves nothing behind", () => {
  const initial = (data: string, name: string = mechanism.plain) => encodeSaslInitialResponse(name, data);
  const violation = "FATAL | 08P01 | ";
  test.each<[string, Buffer, string]>([
    ["a query", message.query("select 1"), `${violation}expected SASL response, got message type 81`],
    ["a Terminate", message.terminate(), `${violation}expected SASL response, got message type 88`],
    ["a TLS handshake", Buffer.from("160301", "hex"), `${violation}expected SASL response, got message type 22`],
    ["a length below 4", Buffer.from("p\0\0\0\x03"), `${violation}invalid message length`],
    ["a length far too large", Buffer.from("p\x7f\xff\xff\xff", "latin1"), `${violation}invalid message length`],
    ["a message longer than 1024", encodeMessage("p", Buffer.alloc(1025)), `${violation}invalid message length`],
    ["a cleartext password", encodeMessage("p", password), `${violation}invalid message format`],
    ["nothing", encodeMessage("p"), `${violation}invalid message format`],
    ["no length", encodeMessage("p", mechanism.plain), `${violation}invalid message format`],
    [
      "a length that is not that of the data",
      encodeMessage("p", mechanism.plain, Buffer.from([0, 0, 0, 9]), "n,,"),
      `${violation}invalid message format`,
    ],
    [
      "an unknown mechanism",
      initial("n,,n=,r=a", "PLAIN"),
      `${violation}client selected an invalid SASL authentication mechanism`,
    ],
    [
      "channel binding without TLS",
      initial("p=tls-server-end-point,,n=,r=a", mechanism.plus),
      `${violation}client selected an invalid SASL authentication mechanism`,
    ],
    ["an empty first message", initial(""), `${violation}malformed SCRAM message`],
    ["a first message without a nonce", initial("n,,n="), `${violation}malformed SCRAM message`],
    ["p without PLUS", initial("p=tls-server-end-point,,n=,r=a"), `${violation}malformed SCRAM message`],
  ])("%s in place of the first message", async (_, bytes, refusal) => {
    const client = await asked();
    client.send(bytes);
    expect(await refusalOf(client)).toBe(refusal);
    await expectNothingLeft();
  });

  test.each<[string, (final: string) => string, string]>([
    ["an empty one", () => "", `${violation}malformed SCRAM message`],
    ["one without a proof", (final) => final.replace(/,p=.*/, ""), `${violation}malformed SCRAM message`],
    ["a proof that is cut", (final) => final.slice(0, -5), `${violation}malformed SCRAM message`],
    ["another nonce", (final) => final.replace(/r=./, "r=~"), `${violation}invalid SCRAM response`],
    [
      "another flag than before",
      (final) => final.replace("c=biws", "c=eSws"),
      `${violation}unexpected SCRAM channel-binding attribute in client-final-message`,
    ],
    [
      "a proof that was not computed",
      (final) => final.replace(/p=.*/, `p=${Buffer.alloc(32).toString("base64")}`),
      'FATAL | 28P01 | password authentication failed for user "postgres"',
    ],
  ])("%s in place of the last message", async (_, change, refusal) => {
    const client = await asked();
    const scram = new ScramClient(password);
    client.send(initial(scram.first));
    client.send(encodeSaslResponse(change(scram.final(authentication(await client.next()).data))));
    expect(await refusalOf(client)).toBe(refusal);
    await expectNothingLeft();
  });

  test("the last message of another connection is refused", async () => {
    const [one, other] = [await asked(), await asked()];
    const scram = new ScramClient(password);
    one.send(initial(scram.first));
    other.send(initial(scram.first));
    await other.next();
    other.send(encodeSaslResponse(scram.final(authentication(await one.next()).data)));
    expect(await refusalOf(other)).toBe(`${violation}invalid SCRAM response`);
  });
});

describe("a client that goes or stops in the middle", () => {
  const scram = new ScramClient(password);
  const steps: [string, (client: WireClient) => Promise<void>][] = [
    ["before its startup packet", async () => {}],
    ["in the middle of it", async (client) => client.send(startupOf().subarray(0, 9))],
    ["when it is asked", async (client) => void (client.send(startupOf()), await client.next())],
    [
      "in the middle of its first message",
      async (client) => {
        client.send(startupOf());
        await client.next();
        client.send(encodeSaslInitialResponse(mechanism.plain, scram.first).subarray(0, 20));
      },
    ],
    [
      "when it is challenged",
      async (client) => {
        client.send(startupOf());
        await client.next();
        client.send(encodeSaslInitialResponse(mechanism.plain, scram.first));
        await client.next();
      },
    ],
    [
      "in the middle of its last message",
      async (client) => {
        client.send(startupOf());
        await client.next();
        client.send(encodeSaslInitialResponse(mechanism.plain, scram.first));
        const last = encodeSaslResponse(scram.final(authentication(await client.next()).data));
        client.send(last.subarray(0, last.length - 1));
      },
    ],
    ["right after its last message", async (client) => logInWith(client, password)],
  ];

  test.each(steps)("%s, by reset or by end, leaves nothing behind", async (_, step) => {
    for (const go of ["resetAndDestroy", "end"] as const) {
      const client = await connected();
      await step(client);
      client.socket[go]();
      await expectNothingLeft();
      for (const rest of clients.splice(0)) rest.destroy();
    }
  });

  test.each(steps.slice(0, -1))("%s is ended by the stall timeout", async (_, step) => {
    await serve({ stallTimeout: 150 });
    const client = await connected();
    await step(client);
    expect(await refusalOf(client)).toMatch(/^FATAL \| 08006 \| .*login timeout$/);
    await expectNothingLeft();
  });

  test("does not hold up a stop, which it is told of", async () => {
    const client = await asked();
    await server.stop();
    expect(await refusalOf(client)).toMatch(/^FATAL \| 57P01/);
  });
});
