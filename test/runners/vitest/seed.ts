import postgres from "postgres";

/** What every database begins with. */
export async function seed(url: string): Promise<void> {
  const sql = postgres(url, { max: 1 });
  await sql`insert into people (name) values ('Ada')`;
  await sql.end();
}
