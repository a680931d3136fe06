/** Listeners on one engine, one after the other: each asks a session of its own what PostgreSQL says at a login. */
import { expect, test } from "vitest";
import { productServer } from "../../support/product-server.ts";

const server = productServer();

test("a listener can follow another at once", async () => {
  const ports = [];
  for (let n = 0; n < 5; n++) {
    const transport = await server.listen();
    ports.push(transport.port);
    await transport.stop();
  }
  expect(ports).toHaveLength(5);
});
