ALTER TABLE "connections" ADD COLUMN "limits" jsonb;--> statement-breakpoint
ALTER TABLE "pipelines" ADD COLUMN "paused" jsonb;