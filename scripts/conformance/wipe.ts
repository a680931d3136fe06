/**
 * Taking everything out of a database that tests have put there.
 *
 * Owns: the statements and their order. Does not own: the connection they run in.
 * Invariant: it succeeds on an empty database, and touches nothing that initdb made except the schema `public`.
 */

const statements: readonly string[] = [
  `do $$ declare name text; begin
     for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
       execute format('drop schema %I cascade', name);
     end loop;
   end $$`,
  "create schema public authorization pg_database_owner",
  "grant usage on schema public to public",
  "select count(lo_unlink(oid)) from pg_largeobject_metadata",
  `do $$ declare name text; begin
     for name in select rolname from pg_roles where rolname ~ '^(regress|devdb)_' loop
       execute format('drop owned by %I cascade', name);
       execute format('drop role %I', name);
     end loop;
   end $$`,
];

/**
 * Empties the database of a superuser's connection. Roles go if their names begin with `regress_` or `devdb_`.
 * `run` sends one query and returns the first column of its rows; it rejects if the query fails.
 */
export async function wipeDatabase(run: (sql: string) => Promise<readonly (string | null)[]>): Promise<void> {
  for (const gid of await run("select gid from pg_prepared_xacts where database = current_database()")) {
    await run(`rollback prepared '${gid!.replaceAll("'", "''")}'`);
  }
  for (const sql of statements) await run(sql);
}
