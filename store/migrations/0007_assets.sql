CREATE TABLE "asset_updates" (
	"asset" text NOT NULL,
	"run_id" text NOT NULL,
	"task_id" text NOT NULL,
	"rows" bigint,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "asset_updates_asset_run_id_task_id_pk" PRIMARY KEY("asset","run_id","task_id")
);
--> statement-breakpoint
CREATE TABLE "assets" (
	"name" text PRIMARY KEY NOT NULL,
	"run_id" text NOT NULL,
	"task_id" text NOT NULL,
	"pipeline" text NOT NULL,
	"rows" bigint,
	"updated_at" timestamp with time zone NOT NULL,
	"updates" integer DEFAULT 1 NOT NULL
);
--> statement-breakpoint
CREATE INDEX "asset_updates_by_time" ON "asset_updates" USING btree ("asset","at","run_id","task_id");