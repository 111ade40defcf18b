-- The demo's target database. `effects` has no key on purpose: a step that took effect twice would show as two rows.
create table ad_cost (
  step_key text not null,
  hour timestamp not null,
  cost_per_click double precision not null,
  cost_per_mille double precision not null,
  clicks_per_mille double precision not null
);
create index ad_cost_by_step on ad_cost (step_key);

create table effects (
  step_key text not null,
  step_version text not null,
  at timestamptz not null default clock_timestamp(),
  pid integer not null
);
create index effects_by_step on effects (step_key);
