/**
 * The example project in `migrations/`, for drizzle-kit.
 *
 * Owns: where its schema and its generated SQL are. `npm run db:generate` writes a migration after a change of the
 * schema; `pglite-devdb` applies the folder on start, and `drizzle-kit migrate` then finds nothing to do.
 */
import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "postgresql",
  schema: "./migrations/schema.ts",
  out: "./migrations",
  dbCredentials: { url: process.env.DATABASE_URL ?? "postgresql://postgres@127.0.0.1:5432/postgres" },
});
