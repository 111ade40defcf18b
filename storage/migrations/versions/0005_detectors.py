"""Each detector has a mode in each org, an anomaly says what speaks for it, and what is old enough goes."""

from alembic import op

revision = "0005"
down_revision = "0004"

_ROLLUPS = ("signal_rollups_1m", "signal_rollups_5m")
# A month of signals goes as a whole, and rows that have no partition one by one, whose table is its owner's for that moment.
# This runs with its owner's rights, so whoever calls it cannot have anything removed that is younger than a day.
_DROP_OLD = """create function suture.drop_old_signals(keep interval) returns table (partition text, is_gone boolean)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  oldest timestamptz := suture.now() - keep;
begin
  if keep is null or keep < interval '1 day' then
    raise exception 'signals are kept for a day at least' using errcode = 'invalid_parameter_value';
  end if;
  for partition in
    select c.relname from pg_class c join pg_inherits i on i.inhrelid = c.oid
    where i.inhparent = 'public.signals'::regclass and c.relname ~ '^signals_[0-9]{4}_[0-9]{2}$'
      and (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC' <= oldest
    order by 1
  loop
    begin
      execute format('drop table public.%I', partition);
      is_gone := true;
    exception when lock_not_available then is_gone := false;
    end;
    return next;
  end loop;
  if pg_relation_size('public.signals_default') > 0 then
    begin
      alter table public.signals_default no force row level security;
      delete from public.signals_default where received_at < oldest;
      alter table public.signals_default force row level security;
    exception when lock_not_available then
      partition := 'signals_default';
      is_gone := false;
      return next;
    end;
  end if;
end $$"""
_MODES = "mode in ('shadow', 'alert', 'page')"
_STATEMENTS = (
    f"""create table detectors (
  org_id uuid not null references orgs,
  detector text not null,
  mode text not null check ({_MODES}),
  by_person boolean not null,
  changed_at timestamptz not null default suture.now(),
  primary key (org_id, detector)
)""",
    "alter table detectors enable row level security",
    "alter table detectors force row level security",
    "create policy org on detectors using (org_id = suture.org()) with check (org_id = suture.org())",
    "grant select, insert, update on detectors to suture_app",
    # A user's own patterns are part of what a look begins with, so they stand where it reads how far the last one came.
    """alter table monitors add column patterns jsonb not null default '{}'""",
    f"alter table anomalies add column mode text not null default 'alert' check ({_MODES})",
    "alter table anomalies alter column mode drop default",
    "alter table anomalies add column evidence jsonb not null default '{}'",
    "create index anomalies_by_detector on anomalies (org_id, detector, id)",
    "create index incidents_by_service on incidents (org_id, environment, service, started_at)",
    *(
        statement
        for table in _ROLLUPS
        for statement in (
            f"create index {table}_by_time on {table} using brin (at)",
            f"grant select, delete on {table} to suture_upkeep",
            f"create policy upkeep on {table} to suture_upkeep using (true)",
        )
    ),
    _DROP_OLD,
    "revoke execute on function suture.drop_old_signals(interval) from public",
    "grant execute on function suture.drop_old_signals(interval) to suture_upkeep",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)
