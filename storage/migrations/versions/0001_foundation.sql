-- The schema of the foundation: every table belongs to one org, and the database itself keeps them apart.

create schema suture;

-- The one clock that decides what has expired.
create function suture.now() returns timestamptz language sql volatile as 'select clock_timestamp()';

-- The org of this transaction; NULL where none is set, so that no row matches.
create function suture.org() returns uuid language sql stable
  as $$ select nullif(current_setting('app.org', true), '')::uuid $$;

create table orgs (
  id uuid primary key default uuidv7(),
  name text not null unique,
  plan text not null default 'pro',
  is_active boolean not null default true,
  settings jsonb not null default '{}',
  automatic_released boolean not null default false,
  created_at timestamptz not null default suture.now()
);

create table org_keys (
  org_id uuid not null references orgs,
  id text not null,
  wrapped bytea not null,
  created_at timestamptz not null default suture.now(),
  retired_at timestamptz,
  primary key (org_id, id)
);

create table environments (
  org_id uuid not null references orgs,
  name text not null,
  is_production boolean not null default true,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, name)
);

create table principals (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  kind text not null check (kind in ('person', 'service')),
  name text not null,
  email text,
  tz text not null default 'UTC',
  owner_id uuid,
  roles text[] not null default '{}',
  is_active boolean not null default true,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  foreign key (org_id, owner_id) references principals (org_id, id),
  check ((kind = 'service') = (owner_id is not null)),
  check (kind = 'person' or not ('approver' = any (roles)))
);
create unique index principals_name on principals (org_id, name);
create unique index principals_email on principals (org_id, lower(email));

create table tokens (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  principal_id uuid not null,
  issuer_id uuid not null,
  hmac bytea not null,
  scopes text[] not null,
  created_at timestamptz not null default suture.now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, principal_id) references principals (org_id, id),
  foreign key (org_id, issuer_id) references principals (org_id, id)
);

create table secrets (
  org_id uuid not null references orgs,
  name text not null,
  environment text not null,
  key_id text not null,
  sealed bytea not null,
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, name, environment),
  foreign key (org_id, environment) references environments (org_id, name)
);

create table workflows (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  name text not null,
  description text not null default '',
  is_active boolean not null default true,
  created_at timestamptz not null default suture.now(),
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  unique (org_id, name)
);

-- A pipeline is a workflow that we run ourselves: same id, same switch.
create table pipelines (
  org_id uuid not null references orgs,
  id uuid not null,
  name text not null,
  environment text not null,
  owner_id uuid not null,
  version integer not null,
  config_json jsonb not null,
  is_active boolean not null default true,
  created_at timestamptz not null default suture.now(),
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  unique (org_id, name),
  foreign key (org_id, id) references workflows (org_id, id),
  foreign key (org_id, environment) references environments (org_id, name),
  foreign key (org_id, owner_id) references principals (org_id, id)
);

create table config_versions (
  org_id uuid not null references orgs,
  pipeline_id uuid not null,
  version integer not null,
  digest text not null,
  spec jsonb not null,
  code text not null,
  author_id uuid not null,
  origin text not null check (origin in ('author', 'remediation')),
  restores integer,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, pipeline_id, version),
  foreign key (org_id, pipeline_id) references pipelines (org_id, id),
  foreign key (org_id, author_id) references principals (org_id, id)
);

create table executions (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  pipeline_id uuid not null,
  schedule_id uuid,
  status text not null check (status in ('pending', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
  config_version integer not null,
  started_by uuid not null,
  failed_stage text,
  incident_id uuid,
  heal_by timestamptz,
  created_at timestamptz not null default suture.now(),
  started_at timestamptz,
  finished_at timestamptz,
  error_code text,
  error_message text,
  trace_id text,
  primary key (org_id, id),
  foreign key (org_id, pipeline_id, config_version) references config_versions (org_id, pipeline_id, version)
);
create index executions_by_pipeline on executions (org_id, pipeline_id, created_at desc);
create index executions_waiting on executions (org_id, incident_id) where status = 'waiting';

create table stage_attempts (
  org_id uuid not null references orgs,
  execution_id uuid not null,
  stage text not null,
  number integer not null,
  kind text not null check (kind in ('run', 'probe', 'dry_run')),
  status text not null check (status in ('intent', 'started', 'passed', 'failed', 'retry', 'lost', 'refused')),
  config_version integer not null,
  step_key text not null,
  step_version text not null,
  claim uuid not null,
  supervisor jsonb,
  lease_until timestamptz,
  result jsonb,
  note text,
  outputs text,
  created_at timestamptz not null default suture.now(),
  started_at timestamptz,
  ended_at timestamptz,
  primary key (org_id, execution_id, stage, number),
  foreign key (org_id, execution_id) references executions (org_id, id)
);

create table incidents (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  signature text not null,
  title text not null,
  service text not null,
  environment text not null,
  severity text not null check (severity in ('sev1', 'sev2', 'sev3', 'sev4')),
  status text not null,
  first_seen_at timestamptz not null default suture.now(),
  last_seen_at timestamptz not null default suture.now(),
  started_at timestamptz not null default suture.now(),
  ended_at timestamptz,
  event_count bigint not null default 1,
  confidence numeric,
  slo_impact jsonb not null default '{}',
  workflow_id uuid,
  carrier text not null,
  meta jsonb not null default '{}',
  primary key (org_id, id)
);
create unique index incidents_open on incidents (org_id, environment, service, signature) where ended_at is null;
create index incidents_by_time on incidents (org_id, started_at desc, id desc);

alter table executions add foreign key (org_id, incident_id) references incidents (org_id, id);

create table signals (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  received_at timestamptz not null default suture.now(),
  ts timestamptz not null,
  source text not null,
  kind text not null check (kind in ('log', 'metric', 'event', 'deploy', 'execution')),
  event_type text,
  key text not null default '',
  value double precision,
  text text,
  service text,
  environment text,
  severity text,
  workflow_id uuid,
  incident_id uuid,
  idempotency_key text,
  correlation_id text,
  trace_id text,
  labels jsonb not null default '{}',
  payload jsonb not null default '{}',
  meta jsonb not null default '{}',
  primary key (org_id, received_at, id)
) partition by range (received_at);
create table signals_default partition of signals default;
create index signals_by_time on signals (org_id, ts);
create index signals_by_workflow on signals (org_id, workflow_id, ts);
create index signals_by_id on signals (org_id, id);

-- A unique key cannot span partitions, so what was already received stands here.
create table signal_keys (
  org_id uuid not null references orgs,
  idempotency_key text not null,
  signal_id uuid not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, idempotency_key)
);

create table evidence (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  incident_id uuid not null,
  kind text not null,
  ref jsonb not null,
  excerpt text not null,
  score numeric not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  foreign key (org_id, incident_id) references incidents (org_id, id)
);
create index evidence_by_incident on evidence (org_id, incident_id);

create table hypotheses (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  incident_id uuid not null,
  diagnosis_id uuid not null,
  rank integer not null,
  cause text not null,
  statement text not null,
  confidence numeric not null check (confidence between 0 and 1),
  support jsonb not null check (jsonb_array_length(support) >= 1),
  counter jsonb not null default '[]',
  why_not text,
  facts jsonb not null default '{}',
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  foreign key (org_id, incident_id) references incidents (org_id, id)
);

create table hypothesis_evidence (
  org_id uuid not null references orgs,
  hypothesis_id uuid not null,
  evidence_id uuid not null,
  stance text not null check (stance in ('support', 'counter')),
  primary key (org_id, hypothesis_id, evidence_id),
  foreign key (org_id, hypothesis_id) references hypotheses (org_id, id),
  foreign key (org_id, evidence_id) references evidence (org_id, id)
);

create function suture.hypothesis_cites() returns trigger language plpgsql as $$
begin
  if not exists (select from hypothesis_evidence e
                 where e.org_id = new.org_id and e.hypothesis_id = new.id and e.stance = 'support') then
    raise exception 'a hypothesis needs at least one evidence row' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger hypothesis_cites after insert on hypotheses
  deferrable initially deferred for each row execute function suture.hypothesis_cites();

create table decisions (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  incident_id uuid,
  execution_id uuid,
  plan_id uuid,
  decision_type text not null,
  ai_model text not null,
  inputs_hash text not null,
  confidence_score numeric,
  threshold numeric,
  decision text not null,
  reason_codes text[] not null default '{}',
  reasoning text not null,
  explanation_json jsonb not null default '{}',
  reviewer_id uuid,
  trace_id text,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id)
);
create index decisions_by_incident on decisions (org_id, incident_id);

create table fix_plans (
  org_id uuid not null references orgs,
  id uuid not null,
  incident_id uuid not null,
  digest text not null,
  summary text not null,
  action text not null,
  environment text not null,
  is_production boolean not null,
  mode text not null check (mode in ('auto', 'suggest')),
  risk_score numeric not null,
  content jsonb not null,
  steps jsonb not null,
  rollback jsonb not null,
  preflight jsonb,
  status text not null,
  requested_by uuid,
  supersedes uuid,
  carrier text not null,
  created_at timestamptz not null default suture.now(),
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  unique (org_id, digest),
  foreign key (org_id, incident_id) references incidents (org_id, id)
);
create index fix_plans_by_incident on fix_plans (org_id, incident_id, created_at desc);

create table preflights (
  org_id uuid not null references orgs,
  id uuid not null,
  plan_id uuid not null,
  digest text not null,
  tier text not null,
  passed boolean not null,
  content jsonb not null,
  valid_until timestamptz not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  foreign key (org_id, plan_id) references fix_plans (org_id, id)
);

create table approvals (
  org_id uuid not null references orgs,
  id uuid not null,
  plan_id uuid not null,
  execution_id uuid,
  preflight_id uuid not null,
  digest text not null,
  required_role text not null,
  rule jsonb not null,
  excluded uuid[] not null,
  status text not null check (status in ('open', 'approved', 'rejected', 'expired', 'withdrawn')),
  approver uuid,
  notes text,
  opened_at timestamptz not null default suture.now(),
  created_at timestamptz not null default suture.now(),
  decided_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, plan_id) references fix_plans (org_id, id),
  foreign key (org_id, preflight_id) references preflights (org_id, id)
);
create unique index approvals_one_open on approvals (org_id, plan_id) where status = 'open';

create table decision_requests (
  org_id uuid not null references orgs,
  id uuid not null,
  kind text not null check (kind in ('decide', 'execute', 'revoke')),
  plan_id uuid not null,
  approval_id uuid,
  principal_id uuid not null,
  token_id uuid not null,
  choice text,
  digest text not null,
  reason text not null default '',
  auth_method text not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  foreign key (org_id, principal_id) references principals (org_id, id)
);

create table approval_decisions (
  org_id uuid not null references orgs,
  approval_id uuid not null,
  principal_id uuid not null,
  request_id uuid not null,
  choice text not null check (choice in ('approve', 'reject')),
  digest text not null,
  reason text not null default '',
  auth_method text not null,
  decided_at timestamptz not null default suture.now(),
  primary key (org_id, approval_id, principal_id),
  foreign key (org_id, approval_id) references approvals (org_id, id),
  foreign key (org_id, request_id) references decision_requests (org_id, id)
);

create table grants (
  org_id uuid not null references orgs,
  id uuid not null,
  plan_id uuid not null,
  digest text not null,
  attempt integer not null default 1,
  approval_id uuid,
  decision_id uuid,
  status text not null check (status in ('unused', 'consumed', 'revoked', 'void', 'expired')),
  execute_by timestamptz not null,
  consumed_by text,
  consumed_at timestamptz,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  unique (org_id, digest, attempt),
  foreign key (org_id, plan_id) references fix_plans (org_id, id),
  foreign key (org_id, approval_id) references approvals (org_id, id),
  check ((approval_id is null) <> (decision_id is null))
);

create table leases (
  org_id uuid not null references orgs,
  target text not null,
  fence bigint not null,
  holder text,
  lease_until timestamptz,
  primary key (org_id, target)
);

create table snapshots (
  org_id uuid not null references orgs,
  plan_id uuid not null,
  target text not null,
  version text not null,
  content jsonb not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, plan_id, target),
  foreign key (org_id, plan_id) references fix_plans (org_id, id)
);

create table commands (
  org_id uuid not null references orgs,
  id uuid not null,
  plan_id uuid not null,
  step integer not null,
  kind text not null check (kind in ('dry_run', 'do', 'undo')),
  key text not null,
  tool text not null,
  script text not null,
  environment text not null,
  target text not null,
  grant_id uuid,
  remediation text not null,
  fence bigint,
  dryrun_output text,
  result text,
  exit_code integer,
  version text,
  started_at timestamptz not null default suture.now(),
  ended_at timestamptz,
  primary key (org_id, id),
  foreign key (org_id, plan_id) references fix_plans (org_id, id),
  foreign key (org_id, grant_id) references grants (org_id, id)
);
create unique index commands_once on commands (org_id, key) where kind <> 'dry_run';

-- The plan says where it acts, for it cannot be changed any more; what a command calls its environment is a label.
-- An unknown plan is production, and so is a plan whose environment has become production since, or is gone.
create function suture.acts_in_production(org uuid, plan uuid) returns boolean language sql stable as $$
  select coalesce((select p.is_production or coalesce(e.is_production, true) from fix_plans p
                   left join environments e on e.org_id = p.org_id and e.name = p.environment
                   where p.org_id = org and p.id = plan), true)
$$;

create function suture.command_is_granted() returns trigger language plpgsql as $$
begin
  if new.kind in ('do', 'undo') and suture.acts_in_production(new.org_id, new.plan_id)
     and not exists (select from grants g
                     where g.org_id = new.org_id and g.id = new.grant_id and g.plan_id = new.plan_id
                       and g.status = 'consumed' and g.consumed_by = new.remediation and g.consumed_at <= g.execute_by) then
    raise exception 'no command in production without a grant consumed by this remediation' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger command_is_granted before insert on commands for each row execute function suture.command_is_granted();

create table receipts (
  org_id uuid not null references orgs,
  command_id uuid not null,
  key text not null,
  content jsonb not null,
  digest text not null,
  signature text not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, command_id),
  unique (org_id, key),
  foreign key (org_id, command_id) references commands (org_id, id)
);

create table resumptions (
  org_id uuid not null references orgs,
  id uuid not null,
  execution_id uuid not null,
  plan_id uuid,
  incident_id uuid not null,
  key text not null,
  from_stage text not null,
  until_stage text not null,
  config_version integer not null,
  outcome text check (outcome in ('passed', 'failed')),
  created_at timestamptz not null default suture.now(),
  finished_at timestamptz,
  primary key (org_id, id),
  unique (org_id, key),
  foreign key (org_id, execution_id) references executions (org_id, id)
);

create table verdicts (
  org_id uuid not null references orgs,
  plan_id uuid not null,
  outcome text not null check (outcome in ('pass', 'fail', 'inconclusive')),
  content jsonb not null,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, plan_id),
  foreign key (org_id, plan_id) references fix_plans (org_id, id)
);

create table recovery_events (
  org_id uuid not null references orgs,
  id uuid not null,
  execution_id uuid not null,
  strategy text not null,
  retry_count integer not null default 0,
  dlq_reason text not null,
  requested_by uuid not null,
  plan_id uuid,
  replayed_at timestamptz,
  outcome text,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  foreign key (org_id, execution_id) references executions (org_id, id)
);

create table kill_switches (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  level text not null check (level in ('org', 'workflow', 'vendor', 'action')),
  subject text not null,
  workflow_id uuid,
  is_active boolean not null default false,
  reason text not null default '',
  changed_by uuid,
  changed_at timestamptz not null default suture.now(),
  primary key (org_id, id),
  unique (org_id, level, subject)
);

create table quotas (
  org_id uuid not null references orgs,
  name text not null,
  per_minute integer not null check (per_minute between 0 and 10000000),
  updated_at timestamptz not null default suture.now(),
  primary key (org_id, name)
);

create table quota_usage (
  org_id uuid not null references orgs,
  name text not null,
  minute timestamptz not null,
  used bigint not null,
  primary key (org_id, name)
);

create table idempotency_keys (
  org_id uuid not null references orgs,
  principal_id uuid not null,
  route text not null,
  key text not null,
  body_digest text not null,
  status integer,
  headers jsonb,
  body bytea,
  created_at timestamptz not null default suture.now(),
  primary key (org_id, principal_id, route, key)
);

create table outbox (
  org_id uuid not null references orgs,
  id uuid not null default uuidv7(),
  kind text not null,
  payload jsonb not null,
  created_at timestamptz not null default suture.now(),
  due_at timestamptz not null default suture.now(),
  attempts integer not null default 0,
  last_error text,
  delivered_at timestamptz,
  primary key (org_id, id)
);
create index outbox_due on outbox (due_at) where delivered_at is null;

create function suture.outbox_notify() returns trigger language plpgsql as $$
begin
  perform pg_notify('suture_outbox', '');
  return null;
end $$;
create trigger outbox_notify after insert on outbox for each statement execute function suture.outbox_notify();

create table audit_heads (
  org_id uuid primary key references orgs,
  seq bigint not null,
  hash text not null
);

create table audit_logs (
  org_id uuid not null references orgs,
  seq bigint not null,
  actor_type text not null,
  actor_id text not null,
  action text not null,
  resource_type text not null,
  resource_id text not null,
  trace_id text,
  correlation_id text,
  incident_id uuid,
  created_at timestamptz not null,
  previous text not null,
  body text not null,
  hash text not null,
  primary key (org_id, seq)
);
create index audit_logs_by_incident on audit_logs (org_id, incident_id, seq);
create index audit_logs_by_resource on audit_logs (org_id, resource_id, action);
create index decisions_by_plan on decisions (org_id, plan_id);

-- What changed, apart from the chain, so that a person's data can be erased without breaking it.
create table audit_details (
  org_id uuid not null references orgs,
  seq bigint not null,
  before_json jsonb,
  after_json jsonb,
  primary key (org_id, seq),
  foreign key (org_id, seq) references audit_logs (org_id, seq)
);

create table platform_kill_switches (
  level text not null check (level in ('global', 'region')),
  subject text not null,
  is_active boolean not null default false,
  reason text not null default '',
  changed_at timestamptz not null default suture.now(),
  primary key (level, subject)
);

create table platform_audit_logs (
  seq bigint primary key,
  actor_id text not null,
  action text not null,
  resource_type text not null,
  resource_id text not null,
  created_at timestamptz not null,
  previous text not null,
  body text not null,
  hash text not null
);

create table platform_keys (
  id text primary key,
  wrapped bytea not null,
  created_at timestamptz not null default suture.now(),
  retired_at timestamptz
);

-- One view for each name a specification uses twice.
create view tenants with (security_invoker = true) as select id, name, is_active, settings, created_at from orgs;
create view users with (security_invoker = true) as
  select id, org_id, email, coalesce(roles[1], 'viewer') as role, tz from principals where kind = 'person';
create view events with (security_invoker = true) as
  select id, org_id as tenant_id, workflow_id, event_type, payload, idempotency_key, ts as occurred_at, correlation_id, received_at
  from signals;
create view ai_decisions with (security_invoker = true) as
  select id, org_id, execution_id, ai_model as model_version, confidence_score as confidence, threshold, decision,
         explanation_json, created_at
  from decisions;
create view audit_log with (security_invoker = true) as
  select seq as id, org_id, actor_id as user_id, action, resource_type || '/' || resource_id as target, body as meta, created_at
  from audit_logs;

-- Every table with an org shows only the org of the transaction, to its owner too.
do $$
declare t text;
begin
  for t in select c.table_name from information_schema.columns c join information_schema.tables i using (table_schema, table_name)
           where c.table_schema = 'public' and c.column_name = 'org_id' and i.table_type = 'BASE TABLE' loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy org on %I using (org_id = suture.org()) with check (org_id = suture.org())', t);
  end loop;
end $$;
alter table orgs enable row level security;
alter table orgs force row level security;
create policy org on orgs using (id = suture.org());
create policy platform on orgs to suture_platform using (true) with check (true);
create policy relay on outbox to suture_relay using (true) with check (true);
create policy upkeep on outbox to suture_upkeep using (true);
create policy upkeep on idempotency_keys to suture_upkeep using (true);
create policy upkeep on audit_heads for select to suture_upkeep using (true);
create policy platform on environments to suture_platform using (true) with check (true);

-- The present month of signals and the next two have a partition each. Whoever keeps them so need not own the table: this
-- runs with its owner's rights, and takes no word from its caller. A month whose signals lie in the default partition
-- already, or whose table is busy, is left as it is, and named.
create function suture.keep_signal_months() returns table (partition text, is_there boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  present timestamp := date_trunc('month', suture.now() at time zone 'UTC');
  begins timestamp;
begin
  for ahead in 0..2 loop
    begins := present + make_interval(months => ahead);
    partition := 'signals_' || to_char(begins, 'YYYY_MM');
    is_there := to_regclass('public.' || partition) is not null;
    if not is_there then
      begin
        execute format('create table public.%I partition of public.signals for values from (%L) to (%L)', partition,
                       begins at time zone 'UTC', (begins + interval '1 month') at time zone 'UTC');
        execute format('alter table public.%I enable row level security', partition);
        execute format('alter table public.%I force row level security', partition);
        execute format('create policy org on public.%I using (org_id = suture.org()) with check (org_id = suture.org())',
                       partition);
        is_there := true;
      exception when check_violation or lock_not_available then null;
      end;
    end if;
    return next;
  end loop;
end $$;
revoke execute on function suture.keep_signal_months() from public;

-- Who may do what; whatever is not granted is refused.
grant usage on schema suture, public to suture_app, suture_relay, suture_upkeep, suture_platform;
grant execute on all functions in schema suture to suture_app, suture_relay, suture_upkeep, suture_platform;
revoke execute on function suture.keep_signal_months() from suture_app, suture_relay, suture_platform;

-- A partition is reached through its table alone.
grant select on all tables in schema public to suture_app;
revoke all on platform_audit_logs, platform_keys, signals_default from suture_app;
grant select on platform_keys to suture_app;
grant update (automatic_released, settings) on orgs to suture_app;
grant insert on org_keys, principals, tokens, secrets, workflows, pipelines, config_versions, executions, stage_attempts, incidents,
  signals, signal_keys, evidence, hypotheses, hypothesis_evidence, decisions, fix_plans, preflights, approvals, decision_requests,
  approval_decisions, grants, leases, snapshots, commands, receipts, resumptions, verdicts, recovery_events, kill_switches, quotas,
  quota_usage, idempotency_keys, outbox, audit_heads, audit_logs, audit_details, environments to suture_app;
grant update on principals, tokens, secrets, workflows, pipelines, executions, stage_attempts, incidents, approvals, grants, leases,
  recovery_events, kill_switches, quotas, quota_usage, idempotency_keys, audit_heads to suture_app;
grant update (status, preflight, updated_at) on fix_plans to suture_app;
grant update (dryrun_output, result, exit_code, version, ended_at) on commands to suture_app;
grant update (outcome, finished_at) on resumptions to suture_app;
grant update (delivered_at) on outbox to suture_app;
grant delete on idempotency_keys to suture_app;

grant select on outbox to suture_relay;
grant update (due_at, attempts, last_error, delivered_at) on outbox to suture_relay;
grant select, delete on outbox, idempotency_keys to suture_upkeep;
grant select (org_id, seq) on audit_heads to suture_upkeep;

grant select, insert, update on orgs, platform_kill_switches, environments to suture_platform;
grant select, insert on platform_audit_logs, platform_keys to suture_platform;
