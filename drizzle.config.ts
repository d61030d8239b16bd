// drizzle-kit: generates store/migrations from store/schema.ts (`npm run store:generate`).
import { defineConfig } from "drizzle-kit";

export default defineConfig({ dialect: "postgresql", schema: "./store/schema.ts", out: "./store/migrations", casing: "snake_case" });
