# METADATA
# title: Preflight
# description: What speaks against a plan just before anybody is asked, and once more before it runs.
package suture.preflight

# METADATA
# description: Refusals and whether anything is left, in one answer.
# entrypoint: true
answer := {"allow": allow, "deny": deny}

# METADATA
# description: A plan passes only when the question is complete and nothing speaks against it.
default allow := false

allow if count(deny) == 0

# METADATA
# description: The question or the settings are incomplete or malformed.
deny contains {"code": "PF001", "msg": "the question or the settings are incomplete or malformed"} if not _is_complete

# METADATA
# description: Only actions of the catalogue run.
deny contains {"code": "PF002", "msg": "the action is not in the catalogue"} if not _is_known_action

# METADATA
# description: A dry-run that did not pass stops the plan.
deny contains {"code": "PF003", "msg": msg} if {
	some step in input.steps
	not step.dry_run.fidelity == "none"
	not step.dry_run.passed == true
	msg := sprintf("the dry-run of step %v did not pass", [step.index])
}

# METADATA
# description: A step that nothing could try out first needs a person, unless its action may do without.
deny contains {"code": "PF004", "msg": msg} if {
	some step in input.steps
	step.dry_run.fidelity == "none"
	not input.tier == "human"
	not _may_lack_dry_run
	msg := sprintf("step %v has no dry-run, so it needs a person", [step.index])
}

# METADATA
# description: A target that is no longer as the planner read it stops the plan.
deny contains {"code": "PF005", "msg": msg} if {
	some step in input.steps
	not step.target.version == step.target.found
	msg := sprintf("the target of step %v is no longer the one that was planned for", [step.index])
}

# METADATA
# description: A protected environment is left alone.
deny contains {"code": "PF006", "msg": "the environment is protected"} if {
	input.plan.environment in data.settings.preflight.protected.environments
}

# METADATA
# description: A protected target is left alone.
deny contains {"code": "PF006", "msg": msg} if {
	some step in input.steps
	some pattern in data.settings.preflight.protected.targets
	glob.match(pattern, ["/"], step.target.key)
	msg := sprintf("the target of step %v is protected", [step.index])
}

# METADATA
# description: A command is a list of arguments, never a line for a shell.
deny contains {"code": "PF007", "msg": msg} if {
	some step in input.steps
	not _is_argv(step)
	msg := sprintf("the command of step %v is no list of arguments", [step.index])
}

# METADATA
# description: What looks like an option is one only where the settings name it for the tool.
deny contains {"code": "PF008", "msg": msg} if {
	some step in input.steps
	some position, argument in step.argv
	startswith(argument, "-")
	argument != "--"
	not _is_after_dashes(step, position)
	not _is_known_option(step, argument)
	msg := sprintf("argument %v of step %v is an option its tool is not known for", [position, step.index])
}

# METADATA
# description: No argument holds a NUL, a line end or another character that people cannot see.
deny contains {"code": "PF009", "msg": msg} if {
	some step in input.steps
	some position, argument in step.argv
	regex.match(_hidden, argument)
	msg := sprintf("argument %v of step %v holds a hidden character", [position, step.index])
}

# METADATA
# description: A plan reaches no further than its environment's cap.
deny contains {"code": "PF010", "msg": "the plan reaches further than its environment allows"} if not _is_within_cap

# METADATA
# description: Where the error budget is known and spent, nothing is risked.
deny contains {"code": "PF011", "msg": "the error budget is spent"} if {
	is_number(input.budget)
	input.budget <= data.settings.preflight.min_budget
}

# METADATA
# description: An engaged kill switch stops every plan below it.
deny contains {"code": "PF012", "msg": msg} if {
	some switch in input.switches
	msg := sprintf("the kill switch %s is engaged", [switch])
}

# METADATA
# description: One plan at a time on one target.
deny contains {"code": "PF013", "msg": msg} if {
	some plan in input.conflicts
	msg := sprintf("the plan %s is at work on the same target", [plan])
}

# METADATA
# description: In a closed window nothing is changed.
deny contains {"code": "PF014", "msg": msg} if {
	some window in data.settings.preflight.closed
	_covers(window)
	msg := sprintf("no changes on %s from %s until %s UTC", [_weekday, window.from, window.until])
}

# METADATA
# description: A plan that autonomy blocks is not let through here.
deny contains {"code": "PF015", "msg": "the policy blocks this plan"} if input.tier == "block"

# A call inside `not` is no answer at all when its argument is missing; a rule of its own is a no.
_is_known_action if input.plan.action in data.settings.preflight.actions

_environment := data.settings.environments[input.plan.environment] if not input.plan.is_production

else := data.settings.environments[data.settings.production]

_may_lack_dry_run if {
	_environment.unattended == true
	not input.plan.is_production
	input.plan.environment in data.settings.may_lack_dry_run[input.plan.action]
}

_is_argv(step) if {
	every argument in step.argv {
		is_string(argument)
	}
	regex.match(`^\S+$`, step.argv[0])
}

_hidden := `[\x00-\x1f\x7f\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]`

_is_after_dashes(step, position) if {
	some earlier, "--" in step.argv
	earlier < position
}

_is_known_option(step, argument) if split(argument, "=")[0] in data.settings.preflight.options[step.tool]

_is_within_cap if {
	input.plan.blast_radius <= _environment.blast_cap
	count(input.steps) <= data.settings.preflight.max_steps
}

_instant := time.parse_rfc3339_ns(input.now)

_weekday := time.weekday(_instant)

_covers(window) if {
	_concerns(window.environments)
	_weekday in window.weekdays
	clock := time.clock(_instant)
	minute := sprintf("%02d:%02d", [clock[0], clock[1]])
	window.from <= minute
	minute < window.until
}

_concerns(environments) if input.plan.environment in environments

_concerns(environments) if "*" in environments

_is_complete if {
	is_number(_instant)
	json.match_schema(input, _input_schema)[0]
	json.match_schema(data.settings.preflight, _settings_schema)[0]
}

_word := {"type": "string", "minLength": 1}

_strings := {"type": "array", "items": {"type": "string"}}

_object(properties) := {"type": "object", "required": object.keys(properties), "properties": properties}

_input_schema := _object({
	"plan": _object({
		"environment": _word,
		"is_production": {"type": "boolean"},
		"action": _word,
		"blast_radius": {"type": "integer", "minimum": 0},
	}),
	"steps": {"type": "array", "minItems": 1, "items": _object({
		"index": {"type": "integer"},
		"tool": _word,
		"argv": {},
		"target": _object({"key": _word, "version": {"type": "string"}, "found": {"type": ["string", "null"]}}),
		"dry_run": _object({"fidelity": {"enum": ["server", "simulated", "none"]}, "passed": {"type": "boolean"}}),
	})},
	"tier": {"enum": ["auto", "human", "block"]},
	"switches": _strings,
	"conflicts": _strings,
	"budget": {"type": ["number", "null"]},
	"now": _word,
})

_clock := {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"}

_settings_schema := _object({
	"actions": _strings,
	"options": {"type": "object", "additionalProperties": _strings},
	"protected": _object({"environments": _strings, "targets": _strings}),
	"max_steps": {"type": "integer"},
	"min_budget": {"type": "number"},
	"closed": {
		"type": "array",
		"items": _object({"environments": _strings, "weekdays": _strings, "from": _clock, "until": _clock}),
	},
})
