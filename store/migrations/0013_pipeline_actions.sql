CREATE TABLE "pipeline_actions" (
	"pipeline" text NOT NULL,
	"number" integer NOT NULL,
	"action" text NOT NULL,
	"schedule" text,
	"trigger" text,
	"by" text NOT NULL,
	"why" text,
	"runs" jsonb,
	"at" timestamp with time zone NOT NULL,
	CONSTRAINT "pipeline_actions_pipeline_number_pk" PRIMARY KEY("pipeline","number")
);
--> statement-breakpoint
ALTER TABLE "pipeline_actions" ADD CONSTRAINT "pipeline_actions_pipeline_pipelines_name_fk" FOREIGN KEY ("pipeline") REFERENCES "public"."pipelines"("name") ON DELETE no action ON UPDATE no action;