import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

const path = process.env.LOOKUP_DATABASE ?? join(import.meta.dirname, "customers.sqlite3");
new DatabaseSync(path).exec(readFileSync(join(import.meta.dirname, "..", "customers.sql"), "utf8"));
