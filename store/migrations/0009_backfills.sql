CREATE TABLE "backfill_actions" (
	"backfill" text NOT NULL,
	"number" integer NOT NULL,
	"action" text NOT NULL,
	"by" text NOT NULL,
	"why" text,
	"details" jsonb,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "backfill_actions_backfill_number_pk" PRIMARY KEY("backfill","number")
);
--> statement-breakpoint
CREATE TABLE "backfills" (
	"id" text PRIMARY KEY NOT NULL,
	"pipeline" text NOT NULL,
	"version" integer NOT NULL,
	"plan_hash" text NOT NULL,
	"cut" jsonb NOT NULL,
	"schedule" text,
	"params" jsonb NOT NULL,
	"existing" text NOT NULL,
	"status" text NOT NULL,
	"state" jsonb NOT NULL,
	"seq" integer DEFAULT 0 NOT NULL,
	"idempotency_key" text,
	"request_hash" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "backfill" text;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "partition" integer;--> statement-breakpoint
ALTER TABLE "backfill_actions" ADD CONSTRAINT "backfill_actions_backfill_backfills_id_fk" FOREIGN KEY ("backfill") REFERENCES "public"."backfills"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "backfills_by_idempotency_key" ON "backfills" USING btree ("pipeline","idempotency_key");--> statement-breakpoint
CREATE INDEX "backfills_by_time" ON "backfills" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "runs_of_interval" ON "runs" USING btree ("pipeline","interval_start" collate "C") WHERE interval_start is not null;--> statement-breakpoint
CREATE INDEX "runs_of_backfill" ON "runs" USING btree ("backfill","partition") WHERE backfill is not null;