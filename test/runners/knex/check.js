import knex from "knex";
import configuration from "./knexfile.js";

const db = knex(configuration);
await db.transaction(async (transaction) => {
  await transaction("people").insert({ name: "Grace" });
});
process.stdout.write(`found ${await db("people").orderBy("id").pluck("name")}\n`);
await db.destroy();
