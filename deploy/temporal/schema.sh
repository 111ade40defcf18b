#!/bin/sh
# Create the engine's two databases and bring their schemas to this server's version; done again, it changes nothing.
set -eu
versions=/etc/temporal/schema/postgresql/v12

sql() { temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_HOST" -p 5432 -u "$POSTGRES_USER" "$@"; }

bring_up() {
  sql --db "$1" create || echo "$1 is there already"
  sql --db "$1" update-schema -d "$2" && return
  sql --db "$1" setup-schema -v 0.0
  sql --db "$1" update-schema -d "$2"
}

bring_up temporal "$versions/temporal/versioned"
bring_up temporal_visibility "$versions/visibility/versioned"
