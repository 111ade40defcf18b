# METADATA
# title: Approval
# description: Who must agree to a plan, how many, and for how long that counts; and who may not decide on it.
package suture.approval

# METADATA
# description: A plan of unknown risk, and a risk without an approver set, gets no approval at all.
# entrypoint: true
default rule := {"tier": "block"}

rule := object.union({"tier": "human"}, _demands) if _is_usable

# METADATA
# description: Refusals and whether anything is left, in one answer.
# entrypoint: true
answer := {"allow": allow, "deny": deny}

# METADATA
# description: A decision counts only when nothing speaks against it.
default allow := false

allow if count(deny) == 0

# METADATA
# description: The question is incomplete, or no rule says who decides on this plan.
deny contains {"code": "AP001", "msg": "the question is incomplete or nobody may decide on this plan"} if not _is_complete

# METADATA
# description: Whoever had a hand in the plan does not decide on it; the issuer of a token counts as its user.
deny contains {"code": "AP002", "msg": "whoever had a hand in a plan cannot decide on it"} if {
	not input.choice == "revoke"
	not _is_independent
}

# METADATA
# description: A service account never decides.
deny contains {"code": "AP003", "msg": "only a person can decide"} if not input.kind == "person"

# METADATA
# description: The decider holds one of the roles that the rule names.
deny contains {"code": "AP004", "msg": "deciding needs one of the roles that the rule names"} if not _has_role

# METADATA
# description: A principal that is switched off does not decide.
deny contains {"code": "AP005", "msg": "the principal is not active"} if not input.is_active == true

# Without a dry-run people see less, so the demands are those of the next higher risk.
_risk := data.settings.approval.without_dry_run[input.plan.risk] if input.plan.fidelity == "none"

else := input.plan.risk

_demands := data.settings.approval.by_risk[_risk]

_is_usable if {
	input.plan.fidelity in {"server", "simulated", "none"}
	every name in {"quorum", "remind_after_s", "escalate_after_s", "decide_within_s", "execute_within_s"} {
		is_number(_demands[name])
		_demands[name] > 0
	}
	count(_demands.roles) > 0
	count(_demands.ladder) > 0
	_demands.remind_after_s < _demands.escalate_after_s
	_demands.escalate_after_s < _demands.decide_within_s
	_demands.distinct_teams == false # nobody is in a team yet, so a rule that asks for two of them names nobody
}

_is_complete if {
	rule.tier == "human"
	is_string(input.principal)
	is_string(input.issuer)
	is_array(input.excluded)
	input.choice in {"approve", "reject", "revoke"}
}

_is_independent if {
	is_array(input.excluded)
	count({input.principal, input.issuer} & {id | some id in input.excluded}) == 0
}

_has_role if {
	some role in input.roles
	role in rule.roles
}
