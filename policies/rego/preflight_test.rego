package suture.preflight_test

import data.suture.preflight

_settings := {
	"environments": {
		"dev": {"unattended": true, "blast_cap": 5},
		"prod": {"unattended": false, "blast_cap": 2},
	},
	"production": "prod",
	"may_lack_dry_run": {"retry_stage": ["dev", "prod"]},
	"preflight": {
		"actions": ["retry_stage", "rollback_config"],
		"options": {"kubectl": ["--namespace"]},
		"protected": {"environments": ["vault"], "targets": ["config/secret-*"]},
		"max_steps": 1,
		"min_budget": 0,
		"closed": [{"environments": ["prod"], "weekdays": ["Friday"], "from": "16:00", "until": "24:00"}],
	},
}

_step := {
	"index": 1,
	"tool": "kubectl",
	"argv": ["config", "pin", "v1"],
	"target": {"key": "config/ad-cost", "version": "v2", "found": "v2"},
	"dry_run": {"fidelity": "server", "passed": true},
}

_base := {
	"plan": {"environment": "dev", "is_production": false, "action": "retry_stage", "blast_radius": 1},
	"steps": [_step],
	"tier": "auto",
	"switches": [],
	"conflicts": [],
	"budget": null,
	"now": "2026-11-20T12:00:00+00:00",
}

_codes(change) := codes if {
	deny := preflight.deny with input as object.union(_base, change)
		with data.settings as _settings
	codes := {refusal.code | some refusal in deny}
}

_step_codes(change) := _codes({"steps": [object.union(_step, change)]})

_settings_codes(change) := codes if {
	deny := preflight.deny with input as _base
		with data.settings as object.union(_settings, {"preflight": change})
	codes := {refusal.code | some refusal in deny}
}

test_empty_input_is_refused if {
	answer := preflight.answer with input as {} with data.settings as _settings
	answer.allow == false
	{refusal.code | some refusal in answer.deny} == {"PF001", "PF002", "PF010"}
}

test_missing_settings_are_refused if {
	not preflight.allow with input as _base with data.settings as {}
}

test_sound_plan_passes if {
	preflight.allow with input as _base with data.settings as _settings
}

test_each_missing_field_is_refused if {
	every field in object.keys(_base) {
		deny := preflight.deny with input as object.remove(_base, [field]) with data.settings as _settings
		"PF001" in {refusal.code | some refusal in deny}
	}
}

test_each_missing_part_of_a_step_is_refused if {
	every field in object.keys(_step) {
		"PF001" in _codes({"steps": [object.remove(_step, [field])]})
	}
}

test_plan_without_steps_is_refused if _codes({"steps": []}) == {"PF001"}

test_moment_that_is_none_is_refused if _codes({"now": "soon"}) == {"PF001"}

test_malformed_closed_window_is_refused if {
	_settings_codes({"closed": [{"environments": ["*"], "weekdays": ["Friday"], "from": "9", "until": "17:00"}]}) == {"PF001"}
}

test_unknown_action_is_refused if _codes({"plan": {"action": "rm"}}) == {"PF002"}

test_failed_dry_run_is_refused if _step_codes({"dry_run": {"passed": false}}) == {"PF003"}

test_missing_dry_run_needs_a_person if {
	_codes({
		"plan": {"action": "rollback_config"},
		"steps": [object.union(_step, {"dry_run": {"fidelity": "none", "passed": false}})],
	}) == {"PF004"}
}

test_missing_dry_run_passes_with_a_person if {
	_codes({
		"tier": "human",
		"plan": {"action": "rollback_config"},
		"steps": [object.union(_step, {"dry_run": {"fidelity": "none", "passed": false}})],
	}) == set()
}

test_listed_action_may_lack_a_dry_run if _step_codes({"dry_run": {"fidelity": "none", "passed": false}}) == set()

test_changed_target_is_refused if _step_codes({"target": {"found": "v3"}}) == {"PF005"}

test_missing_target_is_refused if _step_codes({"target": {"found": null}}) == {"PF005"}

test_protected_environment_is_refused if _codes({"plan": {"environment": "vault"}}) == {"PF006"}

test_protected_target_is_refused if _step_codes({"target": {"key": "config/secret-key"}}) == {"PF006"}

test_command_line_is_refused if _step_codes({"argv": "rm -rf /"}) == {"PF007"}

test_command_line_in_a_list_is_refused if _step_codes({"argv": ["rm -rf /"]}) == {"PF007"}

test_empty_command_is_refused if _step_codes({"argv": []}) == {"PF007"}

test_argument_that_is_no_text_is_refused if _step_codes({"argv": ["kill", 9]}) == {"PF007"}

test_shell_characters_are_ordinary_text if _step_codes({"argv": ["pin", "$(id); `id` | x"]}) == set()

test_unknown_option_is_refused if {
	every argument in ["--kubeconfig=x", "-oProxyCommand=x", "-rf"] {
		_step_codes({"argv": ["ssh", argument]}) == {"PF008"}
	}
}

test_known_option_passes if _step_codes({"argv": ["get", "--namespace=a"]}) == set()

test_option_of_an_unknown_tool_is_refused if {
	_step_codes({"tool": "ssh", "argv": ["ssh", "--namespace=a"]}) == {"PF008"}
}

test_text_after_two_dashes_is_no_option if _step_codes({"argv": ["rm", "--", "-rf"]}) == set()

test_option_before_two_dashes_is_refused if _step_codes({"argv": ["rm", "-rf", "--"]}) == {"PF008"}

test_hidden_character_is_refused if {
	every argument in ["a\u0000b", "a\nb", "a\u001b[2K", "a\u202eb", "a\u200bb"] {
		_step_codes({"argv": ["pin", argument]}) == {"PF009"}
	}
}

test_wide_plan_is_refused if _codes({"plan": {"blast_radius": 6}}) == {"PF010"}

test_cap_of_an_unknown_environment_is_that_of_production if {
	_codes({"plan": {"environment": "prd-2", "blast_radius": 3}}) == {"PF010"}
}

test_long_plan_is_refused if _codes({"steps": [_step, _step]}) == {"PF010"}

test_spent_budget_is_refused if _codes({"budget": 0}) == {"PF011"}

test_budget_to_spare_passes if _codes({"budget": 0.3}) == set()

test_engaged_switch_is_refused if _codes({"switches": ["org"]}) == {"PF012"}

test_conflicting_plan_is_refused if _codes({"conflicts": ["plan_2"]}) == {"PF013"}

test_closed_window_is_refused if {
	_codes({"plan": {"environment": "prod", "is_production": true}, "now": "2026-11-20T17:30:00+00:00"}) == {"PF014"}
}

test_closed_window_counts_in_utc if {
	_codes({"plan": {"environment": "prod", "is_production": true}, "now": "2026-11-20T15:59:00-02:00"}) == {"PF014"}
}

test_window_of_every_environment_closes_each if {
	closed := [{"environments": ["*"], "weekdays": ["Friday"], "from": "00:00", "until": "24:00"}]
	_settings_codes({"closed": closed}) == {"PF014"}
}

test_open_hours_pass if _codes({"plan": {"environment": "prod", "is_production": true}}) == set()

test_blocked_plan_is_refused if _codes({"tier": "block"}) == {"PF015"}

test_attended_environment_never_lacks_a_dry_run if {
	_codes({
		"plan": {"environment": "prod"},
		"steps": [object.union(_step, {"dry_run": {"fidelity": "none", "passed": false}})],
	}) == {"PF004"}
}

test_production_never_lacks_a_dry_run if {
	untried := object.union(_step, {"dry_run": {"fidelity": "none", "passed": false}})
	deny := preflight.deny with input as object.union(_base, {"plan": {"is_production": true}, "steps": [untried]})
		with data.settings as object.union(_settings, {"environments": {"prod": {"unattended": true}}})
	{refusal.code | some refusal in deny} == {"PF004"}
}

test_window_ends if {
	closed := [{"environments": ["*"], "weekdays": ["Friday"], "from": "00:00", "until": "12:00"}]
	_settings_codes({"closed": closed}) == set()
}

test_window_of_another_day_does_not_close if {
	closed := [{"environments": ["*"], "weekdays": ["Monday"], "from": "00:00", "until": "24:00"}]
	_settings_codes({"closed": closed}) == set()
}

test_window_of_another_environment_does_not_close if _codes({"now": "2026-11-20T17:30:00+00:00"}) == set()
