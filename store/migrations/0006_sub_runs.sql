ALTER TABLE "runs" ADD COLUMN "parent" jsonb;--> statement-breakpoint
ALTER TABLE "runs" ADD COLUMN "output" jsonb;