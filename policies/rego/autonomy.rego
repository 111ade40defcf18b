# METADATA
# title: Autonomy
# description: Whether a plan may run alone, needs a person, or may not run. An environment nobody knows counts as production.
package suture.autonomy

# METADATA
# description: The tier with the reasons for it; what cannot be understood is blocked.
# entrypoint: true
default decision := {
	"tier": "block",
	"rule": "suture.autonomy/block",
	"reasons": [{"code": "AU001", "msg": "the question is incomplete or malformed"}],
}

decision := {
	"tier": "human",
	"rule": "suture.autonomy/human",
	"threshold": _threshold,
	"reasons": [reason | some reason in ask],
} if {
	_is_complete
	count(ask) > 0
}

decision := {
	"tier": "auto",
	"rule": "suture.autonomy/auto",
	"threshold": _threshold,
	"reasons": [{"code": "AU000", "msg": msg}],
} if {
	_is_complete
	count(ask) == 0
	msg := sprintf("%s may run alone in %s at confidence %v of %v", [
		input.plan.action,
		input.plan.environment,
		input.plan.confidence,
		_threshold,
	])
}

# METADATA
# description: The automatic mode boots held, until an operator releases it.
ask contains {"code": "AU010", "msg": "the automatic mode is held"} if not input.automatic_released == true

# METADATA
# description: Only an action listed for the environment runs alone there.
ask contains {"code": "AU011", "msg": "this action may not run alone in this environment"} if not _is_listed

# METADATA
# description: Only the lowest risk runs alone.
ask contains {"code": "AU012", "msg": "the risk is too high to run alone"} if not _is_low_risk

# METADATA
# description: Confidence must reach the environment's threshold; no confidence reaches none.
ask contains {"code": "AU013", "msg": "the confidence does not reach the threshold"} if not _is_confident

# METADATA
# description: Plans run alone only where nobody watches; production and unknown environments are watched.
ask contains {"code": "AU014", "msg": "the environment is production, unknown or attended"} if not _is_unattended

# METADATA
# description: What one source says twice is said once; text alone never makes a plan run.
ask contains {"code": "AU015", "msg": "the evidence comes from too few independent kinds"} if not _is_corroborated

# METADATA
# description: What cannot be undone needs a person.
ask contains {"code": "AU016", "msg": "the plan cannot be undone"} if not _is_undoable

# METADATA
# description: Long plans and wide ones need a person.
ask contains {"code": "AU017", "msg": "the plan has too many steps or reaches too far to run alone"} if not _is_small

# METADATA
# description: A plan that nothing could try out first needs a person, unless its action may do without.
ask contains {"code": "AU018", "msg": "no dry-run shows what the plan would do"} if not _is_previewed

_production if input.plan.is_production

_production if not data.settings.environments[input.plan.environment]

_environment := data.settings.environments[data.settings.production] if _production

else := data.settings.environments[input.plan.environment]

# An org's own number can only make the threshold stricter.
_threshold := max([_environment.confidence, input.min_confidence])

# A call inside `not` is no answer at all when its argument is missing; a rule of its own is a no.
_is_listed if input.plan.action in _environment.auto_actions

_is_low_risk if input.plan.risk in data.settings.autonomy.risks

_is_undoable if input.plan.reversibility in data.settings.autonomy.undoable

_is_confident if input.plan.confidence >= _threshold

_is_unattended if {
	not _production
	_environment.unattended == true
}

_is_corroborated if {
	kinds := {kind | some kind in input.kinds; kind in data.settings.autonomy.kinds}
	count(kinds) >= data.settings.autonomy.min_kinds
}

_is_small if {
	input.plan.steps <= data.settings.autonomy.max_steps
	input.plan.blast_radius <= data.settings.autonomy.max_blast_radius
}

_is_previewed if input.plan.fidelity in {"server", "simulated"}

_is_previewed if {
	_is_unattended
	input.plan.environment in data.settings.may_lack_dry_run[input.plan.action]
}

_is_complete if {
	is_number(_threshold)
	json.match_schema(input, _schema)[0]
}

_schema := _object({
	"plan": _object({
		"environment": {"type": "string", "minLength": 1},
		"is_production": {"type": "boolean"},
		"action": {"type": "string", "minLength": 1},
		"risk": {"enum": ["low", "medium", "high"]},
		"reversibility": {"enum": ["reversible", "compensable", "freeze_only"]},
		"confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
		"steps": {"type": "integer", "minimum": 1},
		"blast_radius": {"type": "integer", "minimum": 0},
		"fidelity": {"enum": ["server", "simulated", "none"]},
	}),
	"kinds": {"type": "array", "items": {"type": "string"}},
	"automatic_released": {"type": "boolean"},
	"min_confidence": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
})

_object(properties) := {"type": "object", "required": object.keys(properties), "properties": properties}
