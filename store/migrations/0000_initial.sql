CREATE TABLE "attempts" (
	"run_id" text NOT NULL,
	"task_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"status" text NOT NULL,
	"worker" text,
	"lost_attempts" integer DEFAULT 0 NOT NULL,
	"error" jsonb,
	"started_at" timestamp with time zone NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "attempts_run_id_task_id_attempt_pk" PRIMARY KEY("run_id","task_id","attempt")
);
--> statement-breakpoint
CREATE TABLE "catalogues" (
	"process" text PRIMARY KEY NOT NULL,
	"role" text NOT NULL,
	"hash" text NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "connections" (
	"name" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"config" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "loads" (
	"key" text PRIMARY KEY NOT NULL,
	"run_id" text NOT NULL,
	"position" jsonb,
	"rows" bigint NOT NULL,
	"bytes" bigint NOT NULL,
	"dead_letters" bigint NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "pipelines" (
	"name" text PRIMARY KEY NOT NULL,
	"latest_version" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "runs" (
	"id" text PRIMARY KEY NOT NULL,
	"pipeline" text NOT NULL,
	"version" integer NOT NULL,
	"plan_hash" text NOT NULL,
	"origin" text NOT NULL,
	"status" text DEFAULT 'queued' NOT NULL,
	"trigger" text NOT NULL,
	"params" jsonb NOT NULL,
	"idempotency_key" text,
	"request_hash" text,
	"seq" integer DEFAULT 0 NOT NULL,
	"error" jsonb,
	"cancel_reason" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp with time zone,
	"finished_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"run_id" text NOT NULL,
	"task_id" text NOT NULL,
	"status" text NOT NULL,
	"attempts" integer NOT NULL,
	"output" jsonb,
	"metrics" jsonb,
	"error" jsonb,
	"started_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "tasks_run_id_task_id_pk" PRIMARY KEY("run_id","task_id")
);
--> statement-breakpoint
CREATE TABLE "versions" (
	"pipeline" text NOT NULL,
	"version" integer NOT NULL,
	"hash" text NOT NULL,
	"definition" json NOT NULL,
	"source" text NOT NULL,
	"format" text DEFAULT 'yaml' NOT NULL,
	"plan" json NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "versions_pipeline_version_pk" PRIMARY KEY("pipeline","version")
);
--> statement-breakpoint
ALTER TABLE "attempts" ADD CONSTRAINT "attempts_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_run_id_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."runs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "versions" ADD CONSTRAINT "versions_pipeline_pipelines_name_fk" FOREIGN KEY ("pipeline") REFERENCES "public"."pipelines"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "runs_by_idempotency_key" ON "runs" USING btree ("pipeline","idempotency_key");--> statement-breakpoint
CREATE INDEX "runs_by_time" ON "runs" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "runs_of_pipeline" ON "runs" USING btree ("pipeline","created_at","id");--> statement-breakpoint
CREATE INDEX "runs_open" ON "runs" USING btree ("status") WHERE status in ('queued', 'running');--> statement-breakpoint
CREATE INDEX "versions_by_hash" ON "versions" USING btree ("hash");