CREATE TABLE "events" (
	"pipeline" text NOT NULL,
	"trigger" text NOT NULL,
	"id" text NOT NULL,
	"subject" text,
	"data" jsonb,
	"received_at" timestamp with time zone DEFAULT now() NOT NULL,
	"run_id" text,
	"error" jsonb,
	"counts" boolean DEFAULT true NOT NULL,
	CONSTRAINT "events_pipeline_trigger_id_pk" PRIMARY KEY("pipeline","trigger","id")
);
--> statement-breakpoint
CREATE TABLE "triggers" (
	"pipeline" text NOT NULL,
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"plan_hash" text NOT NULL,
	"plan" jsonb NOT NULL,
	"by_hand" jsonb,
	"watched" jsonb,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "triggers_pipeline_name_pk" PRIMARY KEY("pipeline","name")
);
--> statement-breakpoint
ALTER TABLE "triggers" ADD CONSTRAINT "triggers_pipeline_pipelines_name_fk" FOREIGN KEY ("pipeline") REFERENCES "public"."pipelines"("name") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "events_waiting" ON "events" USING btree ("pipeline","trigger","received_at") WHERE run_id is null and error is null and counts;