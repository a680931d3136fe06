/**
 * The schema of drizzle-before.ts after a change: a value, a table, two columns and an index more.
 */
import { index, integer, pgEnum, pgTable, text } from "drizzle-orm/pg-core";

export const size = pgEnum("size", ["small", "medium", "large"]);

export const depots = pgTable("depots", {
  id: integer("id").primaryKey(),
});

export const parcels = pgTable(
  "parcels",
  {
    id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
    label: text("label").notNull(),
    size: size("size").notNull(),
    remark: text("remark"),
    depotId: integer("depot_id"),
    weight: integer("weight").notNull().default(7),
  },
  (table) => [index("parcels_label_idx").on(table.label)],
);
