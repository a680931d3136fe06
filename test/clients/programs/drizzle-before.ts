/**
 * A schema for `drizzle-kit push`, before a change.
 */
import { integer, pgEnum, pgTable, text } from "drizzle-orm/pg-core";

export const size = pgEnum("size", ["small", "large"]);

export const parcels = pgTable("parcels", {
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
  label: text("label").notNull(),
  size: size("size").notNull(),
  remark: text("remark"),
});
