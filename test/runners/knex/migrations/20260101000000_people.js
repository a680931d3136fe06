export async function up(knex) {
  await knex.schema.createTable("people", (table) => {
    table.increments("id");
    table.text("name").notNullable().unique();
  });
  await knex("people").insert({ name: "Ada" });
}

export async function down(knex) {
  await knex.schema.dropTable("people");
}
