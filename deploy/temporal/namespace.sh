#!/bin/sh
# Create the namespace and the attributes that workflows carry; done again, it changes nothing.
set -eu
export TEMPORAL_ADDRESS TEMPORAL_NAMESPACE

temporal operator cluster health
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null \
  || temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 30d

# The server takes some seconds to know its new namespace.
tries=0
until temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || { echo "the server does not know $TEMPORAL_NAMESPACE after 60 s" >&2; exit 1; }
  sleep 1
done

attribute() {
  temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" | grep -qw "$1" \
    || temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$1" --type "$2"
}

attribute Stage Keyword
attribute Outcome Keyword
attribute PlanId Keyword
attribute OrgId Keyword
attribute Service Keyword
attribute Environment Keyword
attribute NeedsHuman Bool
attribute ApprovalDeadline Datetime
