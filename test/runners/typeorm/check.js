const { dataSource } = require("./data-source.js");

async function main() {
  await dataSource.initialize();
  const people = dataSource.getRepository("Person");
  await dataSource.transaction((manager) => manager.getRepository("Person").save({ name: "Grace" }));
  process.stdout.write(`found ${(await people.find({ order: { name: "ASC" } })).map(({ name }) => name)}\n`);
  await dataSource.destroy();
}
main();
