-- A row knows when it was last changed, whoever changes it.
CREATE FUNCTION "set_updated_at"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.updated_at := now();
	RETURN NEW;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER "tenants_set_updated_at" BEFORE UPDATE ON "tenants" FOR EACH ROW EXECUTE FUNCTION "set_updated_at"();--> statement-breakpoint
CREATE TRIGGER "users_set_updated_at" BEFORE UPDATE ON "users" FOR EACH ROW EXECUTE FUNCTION "set_updated_at"();--> statement-breakpoint
CREATE TRIGGER "jobs_set_updated_at" BEFORE UPDATE ON "jobs" FOR EACH ROW EXECUTE FUNCTION "set_updated_at"();--> statement-breakpoint
-- A worker that listens on "jobs" hears of a queued job at once; the payload is the job's number.
CREATE FUNCTION "notify_job_queued"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('jobs', NEW.id::text);
	RETURN NULL;
END;
$$;
--> statement-breakpoint
CREATE TRIGGER "jobs_notify_queued" AFTER INSERT OR UPDATE OF "status" ON "jobs" FOR EACH ROW WHEN (NEW.status = 'queued') EXECUTE FUNCTION "notify_job_queued"();
