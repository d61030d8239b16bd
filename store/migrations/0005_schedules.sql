CREATE TABLE "schedules" (
	"pipeline" text NOT NULL,
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"plan_hash" text NOT NULL,
	"plan" jsonb NOT NULL,
	"by_hand" jsonb,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "schedules_pipeline_name_pk" PRIMARY KEY("pipeline","name")
);
--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "schedule" text;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "interval_start" text;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "interval_end" text;--> statement-breakpoint
ALTER TABLE "schedules" ADD CONSTRAINT "schedules_pipeline_pipelines_name_fk" FOREIGN KEY ("pipeline") REFERENCES "public"."pipelines"("name") ON DELETE no action ON UPDATE no action;