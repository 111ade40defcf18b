# METADATA
# title: Authorization
# description: Who may do what. Roles and actions are data; what is in no role is allowed to nobody.
package suture.authz

# METADATA
# description: Refusals and whether anything is left, in one answer.
# entrypoint: true
answer := {"allow": allow, "deny": deny}

# METADATA
# description: Allowed only when the question is complete and nothing speaks against it.
default allow := false

allow if count(deny) == 0

# METADATA
# description: The question is incomplete or names an action nobody knows.
deny contains {"code": "AZ001", "msg": "the question is incomplete or names an unknown action"} if not _is_complete

# METADATA
# description: A principal that is switched off may do nothing.
deny contains {"code": "AZ002", "msg": "the principal is not active"} if not input.principal.is_active == true

# METADATA
# description: A credential acts in its own org and in no other.
deny contains {"code": "AZ003", "msg": "the resource belongs to another org"} if not _is_own_org

# METADATA
# description: One of the principal's roles must carry the action.
deny contains {"code": "AZ004", "msg": "none of the principal's roles may do this"} if not _has_role

# METADATA
# description: Deciding, executing and releasing are for persons.
deny contains {"code": "AZ005", "msg": "only a person may do this"} if not _is_person_enough

# METADATA
# description: A token's scopes narrow what its principal may do and never widen it.
deny contains {"code": "AZ006", "msg": "the token's scopes do not cover this"} if not _has_scope

_is_complete if {
	is_string(input.principal.id)
	is_string(input.resource.type)
	input.action in _known_actions
	some role in input.principal.roles
	data.settings.authz.roles[role]
}

_known_actions := {action | some action in data.settings.authz.everyone} | {action |
	some actions in data.settings.authz.roles
	some action in actions
}

_is_own_org if {
	is_string(input.principal.org)
	input.resource.org == input.principal.org
}

_has_role if {
	some role in input.principal.roles
	data.settings.authz.roles[role]
	input.action in data.settings.authz.everyone
}

_has_role if {
	some role in input.principal.roles
	input.action in data.settings.authz.roles[role]
}

_is_person_enough if input.principal.kind == "person"

_is_person_enough if {
	input.principal.kind == "service"
	is_array(data.settings.authz.persons_only)
	not input.action in data.settings.authz.persons_only
}

_has_scope if {
	some scope in input.principal.scopes
	scope in {"*", sprintf("%s:*", [split(input.action, ".")[0]]), input.action}
}
