#!/bin/sh
# Give the engine a role of its own, which owns its two databases and sees nothing of ours.
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 --set password="$TEMPORAL_DB_PASSWORD" <<'SQL'
create role temporal login createdb password :'password';
revoke connect on database suture from public;
SQL
