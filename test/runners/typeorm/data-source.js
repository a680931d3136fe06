const { DataSource, EntitySchema } = require("typeorm");

class People1767225600000 {
  name = "People1767225600000";

  async up(runner) {
    await runner.query(
      `create table people (id uuid primary key default uuid_generate_v4(), name text not null unique)`,
    );
    await runner.query(`insert into people (name) values ('Ada')`);
  }

  async down(runner) {
    await runner.query(`drop table people`);
  }
}

const Person = new EntitySchema({
  name: "Person",
  tableName: "people",
  columns: { id: { type: "uuid", primary: true, generated: "uuid" }, name: { type: "text", unique: true } },
});

exports.dataSource = new DataSource({
  type: "postgres",
  url: process.env.DATABASE_URL,
  entities: [Person],
  migrations: [People1767225600000],
});
