CREATE TABLE "items" (
	"run_id" text NOT NULL,
	"task_id" text NOT NULL,
	"item" integer NOT NULL,
	"key" text NOT NULL,
	"values" jsonb NOT NULL,
	"status" text DEFAULT 'pending' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"output" jsonb,
	"error" jsonb,
	"started_at" timestamp with time zone,
	"finished_at" timestamp with time zone,
	CONSTRAINT "items_run_id_task_id_item_pk" PRIMARY KEY("run_id","task_id","item")
);
--> statement-breakpoint
CREATE TABLE "outputs" (
	"run_id" text NOT NULL,
	"task_id" text NOT NULL,
	"value" json NOT NULL,
	CONSTRAINT "outputs_run_id_task_id_pk" PRIMARY KEY("run_id","task_id")
);
