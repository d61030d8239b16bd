CREATE TABLE "actions" (
	"run_id" text NOT NULL,
	"number" integer NOT NULL,
	"action" text NOT NULL,
	"task_id" text,
	"by" text NOT NULL,
	"why" text,
	"details" jsonb,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "actions_run_id_number_pk" PRIMARY KEY("run_id","number")
);
--> statement-breakpoint
CREATE TABLE "overrides" (
	"hash" text PRIMARY KEY NOT NULL,
	"definition" json NOT NULL,
	"plan" json NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
DROP INDEX "runs_open";--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "waiting" jsonb;--> statement-breakpoint
ALTER TABLE "actions" ADD CONSTRAINT "actions_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "runs_open" ON "runs" USING btree ("created_at","id") WHERE status not in ('succeeded', 'failed', 'cancelled');